"""Why a policy is not taken in."""

from dataclasses import dataclass

from policy_service.errors import PolicyError


@dataclass(kw_only=True)
class StoreNotEmpty(PolicyError):
    """A policy can only be imported into an empty store."""

    reason = "STORE_NOT_EMPTY"
    revision: int


@dataclass(kw_only=True)
class FileChanged(PolicyError):
    """The file is no longer the one that was checked; nothing was imported."""

    reason = "FILE_CHANGED"
    file: str
