"""How many files this process may have open, as each connection is one. Refuses to start with too few."""

import resource

import structlog

from policy_service.errors import StartError

_LISTENERS = 2
_RESERVED = 256
"""For the database, logs, metrics and whatever libraries open."""
_FEWEST = 512

log = structlog.get_logger(__name__)


def connections_within(wanted: int, *, segments: int = 0) -> int:
    """So many connections each listener may have: those wanted, or what is left of the files once raised.

    ``segments`` are the most files of the decision log, which must be there when decisions wait: else connections
    could end checks. Raises StartError if what is left is next to none.
    """
    reserved = _RESERVED + segments
    files = _raised(reserved + _LISTENERS * wanted)
    fewest = _FEWEST + segments
    if files < fewest:
        raise StartError(
            f"This process may have {files} files open, and at least {fewest} are needed: raise the limit (ulimit -n)."
        )
    fit = (files - reserved) // _LISTENERS
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
