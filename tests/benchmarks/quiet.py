"""Keeps the service's log out of the figures: warnings go to stderr, the rest nowhere."""

import logging
import sys

import structlog


def keep_stdout_clean() -> None:
    """For each process of a benchmark, at its start."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
