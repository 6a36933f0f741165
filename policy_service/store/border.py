"""The border where the driver's errors become ours."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import asyncpg

from policy_service.errors import StartError
from policy_service.store.errors import StoreReadOnly, StoreUnavailable
from policy_service.tasks import end_if_cancelled

_AWAY: Final = frozenset({"08", "25", "28", "3D", "40", "53", "55", "57", "58", "XX"})
"""Classes of SQLSTATE that say something of the server's state, not of our statement: connection, read-only,
authorization, database missing, rollback, resources, not in the right state, shutdown or timeout, system, internal."""


@contextmanager
def translated() -> Iterator[None]:
    """The border: a database that is away, full or too slow becomes StoreUnavailable, one without writes StoreReadOnly.

    The driver's own words stay in ``__cause__`` for the operator's log; they
    never reach a caller, since they may name hosts and addresses.
    """
    try:
        yield
    except (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError) as fault:
        # The driver's state machine also loses its place when a connection dies under it: on the way back into the
        # pool, or between two parts of an answer ("cannot switch to state …").
        end_if_cancelled(fault)
        if isinstance(fault, ValueError) and not isinstance(fault, asyncpg.ClientConfigurationError):
            raise  # A value of ours that no column takes; no database would.
        raise StoreUnavailable from fault
    except asyncpg.InsufficientPrivilegeError as fault:
        raise StartError(
            f"The database's role lacks a right: {fault}. Its owner gives what is needed with 'policy-service migrate "
            "--service-role ROLE'."
        ) from fault
    except asyncpg.ReadOnlySQLTransactionError as fault:
        raise StoreReadOnly from fault
    except (AttributeError, AssertionError, RuntimeError, asyncio.InvalidStateError) as fault:
        # Where its state is not what it takes for granted, as a connection died meanwhile, it fails in plain words.
        end_if_cancelled(fault)
        if not _is_the_drivers(fault):
            raise
        raise StoreUnavailable from fault
    except asyncpg.PostgresError as fault:
        end_if_cancelled(fault)
        if (fault.sqlstate or "")[:2] not in _AWAY:
            raise
        raise StoreUnavailable from fault


def _is_the_drivers(fault: BaseException) -> bool:
    """Was it raised in the driver's own code, and not in ours that it called or that called it?"""
    at = fault.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    return at is not None and str(at.tb_frame.f_globals.get("__name__", "")).startswith("asyncpg.")
