"""The schema's history, in plain SQL."""
