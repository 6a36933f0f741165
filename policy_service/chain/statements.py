"""What a release says, once and signed, of the log that an earlier one left: nothing is rewritten.

Before schema 0004, writers side by side could each follow the same entry, so that
the log forked; and no entry vouched for users, physicians and invitations. The
migration adds an entry of the kind ``log.statement`` that names the stretch,
seals it as it was found, and has the digest of all that stood in these tables.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from policy_service.chain.checkpoints import Verifier
from policy_service.chain.hashing import Entry, Fork, canonical

KIND: Final = "log.statement"
_WHY_RECORDS: Final = "before schema 0004 no entry vouched for users, physicians and invitations"
_WHY_FORK: Final = (
    "before schema 0004 a writer took the head of the log as it was before it waited for the others, so entries of "
    "writers side by side follow the same one"
)

Sign = Callable[[bytes], tuple[str, str]]
"""Bytes to the public key, in hexadecimal, and the signature."""


def statement(*, log: str, fork: Fork | None, records_sha256: str, sign: Sign) -> dict[str, object]:
    """What the entry's detail says."""
    said: dict[str, object] = {"log": log, "records_sha256": records_sha256, "why": _WHY_RECORDS}
    if fork is not None:
        said |= {"fork": asdict(fork), "why": f"{_WHY_FORK}; {_WHY_RECORDS}"}
    key, signature = sign(canonical(said))
    return {**said, "key": key, "signature": signature}


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A statement that stands in a log."""

    revision: int
    fork: Fork | None
    key: str
    said: bytes
    """What was signed."""
    signature: str

    @classmethod
    def of(cls, entry: Entry) -> "Statement":
        """Read the entry; one that is none in its form states nothing and was signed by nobody."""
        detail: Mapping[str, Any] = entry.detail if isinstance(entry.detail, Mapping) else {}
        said = {name: value for name, value in detail.items() if name not in ("key", "signature", "records")}
        return cls(
            revision=entry.revision,
            fork=_fork(detail.get("fork")),
            key=str(detail.get("key", "")),
            said=canonical(said),
            signature=str(detail.get("signature", "")),
        )

    @property
    def forks(self) -> range:
        """The revisions that it speaks of."""
        return range(0) if self.fork is None else range(self.fork.first, self.fork.last + 1)

    def words(self) -> str:
        """What it says, for people; empty where it says nothing of the chain."""
        if self.fork is None:
            return ""
        return (
            f"{self.fork.entries:,} entries of revisions {self.fork.first} to {self.fork.last} follow another than the "
            "one before: writers side by side forked the log there, before schema 0004. They are as the statement of "
            f"revision {self.revision} found and sealed them, signed with {self.key}"
        )

    def fault(self, found: Fork | None, verifier: Verifier | None) -> str:
        """Why it is not to be believed; empty where it is."""
        if self.fork is None and found is None:
            return ""
        if found != self.fork or (found is not None and found.last >= self.revision):
            return "the entries that this statement is of are not those that it sealed"
        if verifier is None:
            return f"this statement explains a fork of the log, and there is no public key to believe it by: {self.key}"
        if not verifier.signed(self.key, self.signature, self.said):
            return f"this statement explains a fork of the log, and its signature is not believed: {self.key}"
        return ""


def _fork(found: Any) -> Fork | None:
    try:
        fork = Fork(**found)
    except TypeError:
        return None
    numbers = (fork.first, fork.last, fork.entries)
    return fork if all(type(number) is int for number in numbers) and isinstance(fork.sha256, str) else None
