"""Opens the database: pool, timeouts, and the border where driver errors become ours."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import date, datetime
from typing import Final

import asyncpg

from policy_service.errors import StartError
from policy_service.store import answers, decisions, log, outbox, rules
from policy_service.store.caps import CAPS, Caps
from policy_service.store.errors import OutcomeUnknown, StoreUnavailable, TooManyLongReads
from policy_service.store.invitations import DeliveryState
from policy_service.store.log import Head, LogLook
from policy_service.store.reading import Reading, reading
from policy_service.store.transaction import Transaction, begin
from policy_service.tasks import end_if_cancelled
from policy_service.vocabulary import Held, Loss

CHANNEL: Final = "policy_revision"

_TIMEOUTS: Final = {
    "application_name": "policy-service",
    "statement_timeout": "15s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "15s",
    "tcp_user_timeout": "10000",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "3",
    "tcp_keepalives_count": "3",
}
_PATIENT: Final = {"statement_timeout": "0", "idle_in_transaction_session_timeout": "0"}
_CONNECT_SECONDS: Final = 5.0
_COMMAND_SECONDS: Final = 20.0
_LONG_LOOKS: Final = 3
"""Exports and verifications at once: each has a connection of its own, and the database has few."""
_SETTLE_TRIES: Final = 20
_SETTLE_PAUSE: Final = 0.25

_AWAY: Final = frozenset({"08", "25", "28", "3D", "40", "53", "55", "57", "58", "XX"})
"""Classes of SQLSTATE that say something of the server's state, not of our statement: connection, read-only,
authorization, database missing, rollback, resources, not in the right state, shutdown or timeout, system, internal."""


@contextmanager
def translated() -> Iterator[None]:
    """The border: a database that is away, full, read-only or too slow becomes StoreUnavailable.

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
    except asyncpg.PostgresError as fault:
        end_if_cancelled(fault)
        if (fault.sqlstate or "")[:2] not in _AWAY:
            raise
        raise StoreUnavailable from fault


class Store:
    """The database as the rest of the service sees it."""

    def __init__(self, pool: asyncpg.Pool, dsn: str, caps: Caps) -> None:
        """Use ``connect_store``."""
        self._pool = pool
        self._caps = caps
        self._dsn = dsn
        self._long_looks = 0

    @asynccontextmanager
    async def transaction(self, *, caller: str, actor: str, reason: str = "") -> AsyncIterator[Transaction]:
        """One story: all of it happens at one revision with its entry in the change log, or none of it.

        Writers follow one another: the revision's row is locked first, so what
        is read inside is current and stays so. Nothing is written if the block
        raises, or makes no change. Raises StoreUnavailable.
        """
        transaction: Transaction | None = None
        try:
            with translated():
                async with (
                    self._pool.acquire(timeout=_CONNECT_SECONDS) as connection,
                    begin(connection, caller, actor, reason, self._caps) as transaction,
                ):
                    yield transaction
        except StoreUnavailable:
            if transaction is None or transaction.committing is None:
                raise
            # The word to commit went out and no word came back: it may have happened.
            await self._settle(transaction.committing)

    async def _settle(self, committing: str) -> None:
        """Find out what became of a transaction: return if it committed, raise StoreUnavailable if it did not.

        Raises OutcomeUnknown where nobody can say.
        """
        for _ in range(_SETTLE_TRIES):
            try:
                with translated():
                    connection = await _connect(self._dsn)
                    try:
                        status = await connection.fetchval("SELECT pg_xact_status($1::text::xid8)", committing)
                    finally:
                        connection.terminate()
            except StoreUnavailable:
                status = None
            if status == "committed":
                return
            if status == "aborted":
                raise StoreUnavailable
            await asyncio.sleep(_SETTLE_PAUSE)
        raise OutcomeUnknown

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Reading]:
        """A consistent look at the policy, which keeps no writer waiting. Raises StoreUnavailable."""
        with translated():
            async with self._pool.acquire(timeout=_CONNECT_SECONDS) as connection, reading(connection) as look:
                yield look

    @asynccontextmanager
    async def reading_long(self) -> AsyncIterator[Reading]:
        """The same for a look that may take its time, on a connection of its own.

        Raises TooManyLongReads and StoreUnavailable.
        """
        async with self._patient() as connection, reading(connection) as look:
            yield look

    @asynccontextmanager
    async def _patient(self) -> AsyncIterator[asyncpg.Connection]:
        if self._long_looks == _LONG_LOOKS:
            raise TooManyLongReads(most=_LONG_LOOKS)
        self._long_looks += 1
        try:
            async with self._connected_patiently() as connection:
                yield connection
        finally:
            self._long_looks -= 1

    @asynccontextmanager
    async def _connected_patiently(self) -> AsyncIterator[asyncpg.Connection]:
        with translated():
            connection = await asyncpg.connect(
                self._dsn, timeout=_CONNECT_SECONDS, server_settings={**_TIMEOUTS, **_PATIENT}
            )
            try:
                yield connection
            finally:
                connection.terminate()

    async def revision(self) -> int:
        """The revision that holds now. Raises StoreUnavailable."""
        with translated():
            return (await rules.held(self._pool)).revision

    async def keep_answer(self, caller: str, kept: answers.Kept) -> None:
        """Keep an answer for the next time an idempotency key is used. Raises StoreUnavailable."""
        with translated():
            await answers.keep(self._pool, caller, kept)

    async def claim_mail(self, now: datetime, lease_until: datetime, most: int) -> list[outbox.Claimed]:
        """Take e-mails whose time has come. Raises StoreUnavailable."""
        with translated():
            return await outbox.claim(self._pool, now, lease_until, most)

    async def letter(self, claimed: outbox.Claimed, now: datetime) -> outbox.Letter | None:
        """What a claimed e-mail says, if its invitation stands. Raises StoreUnavailable."""
        with translated():
            return await outbox.letter(self._pool, claimed, now)

    async def record_mail(
        self,
        claimed: outbox.Claimed,
        state: DeliveryState,
        words: str,
        next_try: datetime,
        *,
        our_fault: bool = False,
    ) -> None:
        """Note how an e-mail went, and whose fault it is. Raises StoreUnavailable."""
        with translated():
            await outbox.record(self._pool, claimed, state, words, next_try, our_fault=our_fault)

    async def mail_not_done(self, now: datetime) -> dict[DeliveryState, int]:
        """How many e-mails of open invitations wait or are set aside. Raises StoreUnavailable."""
        with translated():
            return await outbox.not_done(self._pool, now)

    async def tidy(self, before: datetime) -> None:
        """Forget answers to idempotency keys given before a time. Raises StoreUnavailable."""
        with translated():
            await outbox.tidy(self._pool, before)

    @asynccontextmanager
    async def looking_at_log(self) -> AsyncIterator[LogLook]:
        """A consistent look at both logs, which may take its time. Raises TooManyLongReads and StoreUnavailable."""
        async with (
            self._patient() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield LogLook(connection)

    async def log_head(self) -> Head:
        """Where the change log ends. Raises StoreUnavailable."""
        with translated():
            return await log.head(self._pool)

    async def may_rewrite_log(self) -> bool:
        """Has the service more rights than it should? Raises StoreUnavailable."""
        with translated():
            return await log.may_be_rewritten(self._pool)

    async def log_name(self) -> str:
        """The name of this database's history, never another's: the mark of its first change.

        Raises StoreUnavailable.
        """
        with translated():
            return await log.name(self._pool)

    async def append_decisions(self, lines: bytes) -> None:
        """Add lines to the decision log, making their days' tables. Raises StoreUnavailable."""
        # Asked for each time: a restored backup, or another replica that drops old days, may have taken one away.
        days = {line[:10] for line in lines.split(b"\n")[:-1]}
        with translated():
            async with self._pool.acquire(timeout=_CONNECT_SECONDS) as connection:
                for day in sorted(days):
                    await decisions.make_day(connection, date.fromisoformat(day.decode()))
                await decisions.append(connection, lines)

    async def forget_decisions(self, before: date) -> int:
        """Drop the decision log's days before one; how many. Raises StoreUnavailable."""
        with translated():
            return await decisions.drop_before(self._pool, before)

    async def note_start(self, replica: str) -> None:
        """Write down that a process records decisions, if that is not known. Raises StoreUnavailable."""
        with translated():
            await decisions.note_start(self._pool, replica)

    async def note_replica(self, replica: str, event: decisions.ReplicaEvent, *, sequence: int, lost: int) -> None:
        """Write down what became of a process that records decisions. Raises StoreUnavailable."""
        with translated():
            await decisions.note(self._pool, replica, event, sequence, lost)

    async def note_losses(self, replica: str, losses: Sequence[Loss], *, sequence: int, lost: int) -> None:
        """Write down answers that a process did not record, all or none. Raises StoreUnavailable."""
        with translated():
            async with self._pool.acquire(timeout=_CONNECT_SECONDS) as connection, connection.transaction():
                await decisions.note_losses(connection, replica, losses)
                await decisions.note(connection, replica, decisions.ReplicaEvent.LOST, sequence, lost)

    async def rows_at(self, revision: int, domain: str | None = None) -> rules.Rows:
        """Every row that held at a revision, or those of one domain. Raises StoreUnavailable."""
        with translated():
            return await rules.at(self._pool, revision, domain)

    @asynccontextmanager
    async def listening(self, wake: Callable[[], None]) -> AsyncIterator["Listener"]:
        """A connection of its own that calls ``wake`` after each commit by anyone. Raises StoreUnavailable."""
        with translated():
            connection = await _connect(self._dsn)
            try:
                # NOTIFY fires at commit, so no follower sees half a change.
                await connection.add_listener(CHANNEL, lambda *_: wake())
                connection.add_termination_listener(lambda *_: wake())
                yield Listener(connection)
            finally:
                connection.terminate()


class Listener:
    """A listening connection, and looks at the policy through it."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        """Use ``Store.listening``."""
        self._connection = connection

    async def held(self) -> Held:
        """The revision that holds now. Raises StoreUnavailable."""
        with translated():
            return await rules.held(self._connection)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Reading]:
        """A consistent look at the policy. Raises StoreUnavailable."""
        with translated():
            async with reading(self._connection) as look:
                yield look


async def _connect(dsn: str) -> asyncpg.Connection:
    return await asyncpg.connect(
        dsn, timeout=_CONNECT_SECONDS, command_timeout=_COMMAND_SECONDS, server_settings=_TIMEOUTS
    )


async def probe(dsn: str) -> None:
    """Connect and disconnect: raises StoreUnavailable where the address or the server is at fault."""
    with translated():
        await (await _connect(dsn)).close()


@asynccontextmanager
async def connect_store(dsn: str, *, pool_size: int = 8, caps: Caps = CAPS) -> AsyncIterator[Store]:
    """Open a pool on a migrated database, and close it. Raises StoreUnavailable."""
    with translated():
        pool = await asyncpg.create_pool(
            dsn,
            min_size=1,
            max_size=pool_size,
            timeout=_CONNECT_SECONDS,
            command_timeout=_COMMAND_SECONDS,
            server_settings=_TIMEOUTS,
        )
    try:
        yield Store(pool, dsn, caps)
    finally:
        await _close(pool)


async def _close(pool: asyncpg.Pool, *, seconds: float = 5.0) -> None:
    try:
        await asyncio.wait_for(pool.close(), seconds)
    except TimeoutError:
        pool.terminate()
