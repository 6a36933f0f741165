"""How many files this process may have open, as each connection is one. Refuses to start with too few."""

import resource

import structlog

from policy_service.errors import StartError

_LISTENERS = 2
_RESERVED = 256
"""For the database, logs, spools, metrics and whatever libraries open."""
_FEWEST = 512

log = structlog.get_logger(__name__)


def connections_within(wanted: int) -> int:
    """So many connections each listener may have: those wanted, or what is left of the files once raised.

    Raises StartError if that is next to none.
    """
    files = _raised(_RESERVED + _LISTENERS * wanted)
    if files < _FEWEST:
        raise StartError(
            f"This process may have {files} files open, and at least {_FEWEST} are needed: raise the limit (ulimit -n)."
        )
    fit = (files - _RESERVED) // _LISTENERS
    if fit < wanted:
        log.warning("fewer connections than set: raise the limit of open files", files=files, wanted=wanted, most=fit)
    return min(wanted, fit)


def _raised(needed: int) -> int:
    """Take what the system gives without asking anybody, up to what is needed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return needed if soft == resource.RLIM_INFINITY else soft
