"""The database as the rest of the service sees it: stories, looks, and what is kept beside the policy."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import date, datetime
from typing import Final

import asyncpg

from policy_service.store import answers, callers, decisions, log, outbox, rules
from policy_service.store.border import translated
from policy_service.store.caps import CAPS, Caps
from policy_service.store.connection import CONNECT_SECONDS, connected_patiently, pooled
from policy_service.store.errors import TooManyLongReads
from policy_service.store.invitations import DeliveryState
from policy_service.store.known import KnownRows
from policy_service.store.listening import Listener, listening
from policy_service.store.log import Head, LogLook
from policy_service.store.reading import Reading, reading
from policy_service.store.seats import Seat
from policy_service.store.transaction import Transaction
from policy_service.store.watched import pool_states
from policy_service.store.writing import Writer
from policy_service.vocabulary import Loss

_LONG_LOOKS: Final = 3
"""Exports and verifications at once: each has a connection of its own, and the database has few."""
WRITE_SECONDS: Final = 30.0
"""What a write may take unless another time is set: nobody but the service has callers that wait."""


class Store:
    """The database as the rest of the service sees it."""

    def __init__(self, pool: asyncpg.Pool, dsn: str, caps: Caps, write_seconds: float) -> None:
        """Use ``connect_store``."""
        self._pool = pool
        self._dsn = dsn
        self._known = KnownRows()
        self._writer = Writer(pool, dsn, caps=caps, known=self._known, seconds=write_seconds)
        self._long_looks = 0

    def transaction(
        self, *, caller: str, actor: str, reason: str = "", key: str = "", patient: bool = False
    ) -> AbstractAsyncContextManager[Transaction]:
        """One story: all of it happens at one revision with its entry in the change log, or none of it.

        Writers follow one another: the revision's row is locked first, so what
        is read inside is current and stays so. Nothing is written if the block
        raises, or makes no change. ``key`` is the call's idempotency key; who is
        ``patient`` may take longer than a write may. Raises StoreUnavailable,
        StoreReadOnly, WriteTimedOut and OutcomeUnknown.
        """
        return self._writer.transaction(caller=caller, actor=actor, reason=reason, key=key, patient=patient)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Reading]:
        """A consistent look at the policy, which keeps no writer waiting. Raises StoreUnavailable."""
        with translated():
            async with (
                self._pool.acquire(timeout=CONNECT_SECONDS) as connection,
                reading(connection, self._known) as look,
            ):
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
            raise TooManyLongReads(limit="exports and verifications under way", most=_LONG_LOOKS)
        self._long_looks += 1
        try:
            async with connected_patiently(self._dsn) as connection:
                yield connection
        finally:
            self._long_looks -= 1

    @property
    def pool_states(self) -> dict[str, int]:
        """How many connections are ``busy`` and ``idle`` of ``most``, and how many stories are ``waiting`` for one."""
        return pool_states(self._pool)

    async def revision(self) -> int:
        """The revision that holds now. Raises StoreUnavailable."""
        with translated():
            return (await rules.held(self._pool)).revision

    async def keep_answer(self, caller: str, kept: answers.Kept) -> None:
        """Keep an answer for the next time an idempotency key is used. Raises StoreUnavailable."""
        async with self._writer.border():
            await answers.keep(self._pool, caller, kept)

    async def claim_mail(self, now: datetime, lease_until: datetime, most: int) -> list[outbox.Claimed]:
        """Take e-mails whose time has come. Raises StoreUnavailable."""
        async with self._writer.border():
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
        async with self._writer.border():
            await outbox.record(self._pool, claimed, state, words, next_try, our_fault=our_fault)

    async def mail_not_done(self, now: datetime) -> dict[DeliveryState, outbox.NotDone]:
        """How many e-mails of open invitations wait or are set aside, and since when. Raises StoreUnavailable."""
        with translated():
            return await outbox.not_done(self._pool, now)

    async def tidy(self, before: datetime) -> None:
        """Forget answers to idempotency keys given before a time. Raises StoreUnavailable."""
        async with self._writer.border():
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
            async with self._pool.acquire(timeout=CONNECT_SECONDS) as connection:
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
            async with self._pool.acquire(timeout=CONNECT_SECONDS) as connection, connection.transaction():
                await decisions.note_losses(connection, replica, losses)
                await decisions.note(connection, replica, decisions.ReplicaEvent.LOST, sequence, lost)

    async def note_tokens_seen(self, seen: Mapping[str, datetime]) -> None:
        """Note when callers' tokens were last seen. Raises StoreUnavailable."""
        async with self._writer.border():
            await callers.note_seen(self._pool, seen)

    async def rows_at(self, revision: int, domain: str | None = None) -> rules.Rows:
        """Every row that held at a revision, or those of one domain. Raises StoreUnavailable."""
        with translated():
            return await rules.at(self._pool, revision, domain)

    def seat(self, number: int) -> Seat:
        """A seat that one process on this database has at a time."""
        return Seat(self._dsn, number)

    def listening(self, wake: Callable[[], None]) -> AbstractAsyncContextManager[Listener]:
        """A connection of its own that calls ``wake`` after each commit by anyone. Raises StoreUnavailable."""
        return listening(self._dsn, wake)


@asynccontextmanager
async def connect_store(
    dsn: str, *, pool_size: int = 8, caps: Caps = CAPS, write_seconds: float = WRITE_SECONDS
) -> AsyncIterator[Store]:
    """Open a pool on a migrated database, and close it. Raises StoreUnavailable."""
    async with pooled(dsn, size=pool_size) as pool:
        yield Store(pool, dsn, caps, write_seconds)
