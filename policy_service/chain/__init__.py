"""The seals of the record: hashes that hang on each other, signed checkpoints and statements.

In come entries and keys; out come hashes, signatures and the first entry that
does not follow. Nothing here reads a database. docs/audit.md says the same for
whoever writes a second verifier. Read ``hashing`` first.
"""

from policy_service.chain.checkpoints import Checkpoint, Signer, Verifier, read_signer, read_verifier
from policy_service.chain.hashing import START, Entry, Fork, Walk, canonical, instant
from policy_service.chain.key_files import read_or_make
from policy_service.chain.statements import KIND, Sign, Statement, statement

__all__ = [
    "KIND",
    "START",
    "Checkpoint",
    "Entry",
    "Fork",
    "Sign",
    "Signer",
    "Statement",
    "Verifier",
    "Walk",
    "canonical",
    "instant",
    "read_or_make",
    "read_signer",
    "read_verifier",
    "statement",
]
