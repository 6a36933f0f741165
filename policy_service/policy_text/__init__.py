"""What ops write, read and checked: models, seeds and expectations.

In come texts; out come rows, or every fault with its place and its mend. A file
is taken whole or refused whole. Read ``files`` first; ``lint`` is what judges.
"""

from policy_service.policy_text.expectations import (
    CallerQuestion,
    ExpectationFile,
    UserExpectation,
    UserQuestion,
    read_expectations,
)
from policy_service.policy_text.files import BrokenPolicy, Fault, read_file, read_rows, read_seed, seed_rows, seed_text
from policy_service.policy_text.lines import lines_of
from policy_service.policy_text.lint import CODES, MOST_BYTES, Finding, Level, is_too_large, lint

__all__ = [
    "CODES",
    "MOST_BYTES",
    "BrokenPolicy",
    "CallerQuestion",
    "ExpectationFile",
    "Fault",
    "Finding",
    "Level",
    "UserExpectation",
    "UserQuestion",
    "is_too_large",
    "lines_of",
    "lint",
    "read_expectations",
    "read_file",
    "read_rows",
    "read_seed",
    "seed_rows",
    "seed_text",
]
