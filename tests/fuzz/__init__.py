"""Fuzzers, run by hand."""
