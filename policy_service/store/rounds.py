"""Rounds of writes: those that come while another commits go under the lock together, and commit as one.

The lock is held until a commit is on the disk, and that is most of the time that
a write holds it. So a round takes the lock once, lets each write have its turn
in a savepoint of its own, one after another, and commits them all. Who failed or
changed nothing is taken back alone. Nobody is told anything that rests on a turn
before theirs until the round has committed.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import asyncpg

from policy_service.store.border import translated
from policy_service.store.connection import CONNECT_SECONDS, connect
from policy_service.store.errors import OutcomeUnknown, StoreReadOnly, StoreUnavailable, WriteTimedOut
from policy_service.tasks import end_if_cancelled

_MOST_TURNS: Final = 16
"""In one round: the writers of other replicas wait for it."""
_MOST_SECONDS: Final = 0.1
_MARGIN: Final = 0.02
"""A round ends so much earlier than the time of its first write, which then is told what became of it."""
_SETTLE_TRIES: Final = 20
_SETTLE_PAUSE: Final = 0.25
_TRANSACTION_TIMEOUT_SINCE: Final = 17
"""The server's major version that can end a transaction by its age."""
_LOCK: Final = "SELECT FROM policy_revision FOR UPDATE"


class Turn:
    """One write's place in a round."""

    def __init__(self, until: float | None) -> None:
        """Done or given up ``until`` a time of the loop's clock; without one it is patient, and has a round alone."""
        loop = asyncio.get_running_loop()
        self.until = until
        self.begins: asyncio.Future[Any] = loop.create_future()
        """The connection, when it is this one's turn."""
        self.ends: asyncio.Future[bool] = loop.create_future()
        """Is there something to commit?"""
        self.outcome: asyncio.Future[None] = loop.create_future()
        """Done, once what was committed is on the disk."""
        self.name = ""
        """The database's name of the transaction."""
        self.is_committing = False
        """Did the word to commit go out?"""

    def end(self, *, changed: bool) -> None:
        """Let the next one begin."""
        if not self.ends.done():
            self.ends.set_result(changed)

    def leave(self) -> None:
        """Whoever waited is gone."""
        self.begins.cancel()
        self.end(changed=False)

    async def settled(self) -> None:
        """Wait for the outcome; raises what kept it from being committed."""
        # The wait may be cancelled; the outcome is other people's too.
        await asyncio.wait([self.outcome])
        self.outcome.result()

    def tell(self, fault: Exception | None) -> None:
        """The outcome, to whoever still waits for it, or for the turn to begin."""
        for waiting in (self.begins, self.outcome):
            if waiting.done():
                continue
            if fault is not None:
                waiting.set_exception(fault)
                waiting.exception()
            elif waiting is self.outcome:
                waiting.set_result(None)


class Rounds:
    """The writes of one process, in the order in which they came."""

    def __init__(self, pool: asyncpg.Pool, dsn: str) -> None:
        """On connections of a pool; ``dsn`` is asked what became of a commit."""
        self._pool = pool
        self._dsn = dsn
        self._waiting: deque[Turn] = deque()
        self._is_taking = False
        self._running: set[asyncio.Task[None]] = set()

    def enter(self, turn: Turn) -> None:
        """Stand behind the others; the round that takes turns, or the next, comes to it."""
        self._waiting.append(turn)
        self._begin()

    @asynccontextmanager
    async def border(self) -> AsyncIterator[None]:
        """For whoever writes: no connection on which nothing can be written is used again."""
        try:
            with translated():
                yield
        except StoreReadOnly:
            # After a failover the primary is elsewhere, or here once more: new connections find out.
            await self._pool.expire_connections()
            raise

    def _begin(self) -> None:
        first = None if self._is_taking else self._next()
        if first is not None:
            self._is_taking = True
            round_ = asyncio.create_task(self._run(first))
            self._running.add(round_)
            round_.add_done_callback(self._running.discard)

    def _close(self) -> None:
        """No more turns: whoever waits has the next round, which stands behind this one at the lock."""
        self._is_taking = False
        self._begin()

    def _next(self) -> Turn | None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.begins.done():
                return turn
        return None

    async def _run(self, first: Turn) -> None:
        round_ = _Round(first)
        # Whatever it is that ends this early, nobody waits for it for ever.
        fault: Exception | None = StoreUnavailable()
        try:
            async with asyncio.timeout_at(None if first.until is None else first.until - _MARGIN):
                async with self.border(), self._pool.acquire(timeout=CONNECT_SECONDS) as connection:
                    await self._through(round_, connection)
            fault = None
        except TimeoutError:
            fault = OutcomeUnknown() if round_.is_committing else WriteTimedOut()
        except StoreUnavailable as met:
            fault = met
            if round_.is_committing:
                # The word to commit went out and no word came back: it may have happened.
                fault = await self._settle(first, round_.name)
            elif not first.begins.done():
                # The others would meet the same.
                round_.turns += self._waiting
                self._waiting.clear()
        except Exception as met:  # noqa: BLE001 - it is told to everybody whose write it ended.
            fault = met
        finally:
            for turn in (first, round_.current, *round_.turns):
                turn.tell(fault)
            if round_.is_taking:
                self._close()

    async def _through(self, round_: "_Round", connection: Any) -> None:
        """Lock, turns, commit; a connection that was left in the middle is closed, and so commits nothing."""
        try:
            # In one message: every way there and back under the lock is one that all other writers wait for.
            limits = _limits(connection, round_.first.until)
            await connection.execute(f"BEGIN;{limits}{_LOCK};SAVEPOINT turn")
            await self._take_turns(round_, connection)
            last = "" if round_.has_kept_last else "ROLLBACK TO turn;"
            if not round_.has_changed:
                await connection.execute("ROLLBACK")
                return
            round_.commit()
            said = await connection.execute(f"{last}COMMIT")
        except BaseException:
            with suppress(asyncpg.InterfaceError):
                # One that was lost is out of the pool already, and says so.
                connection.terminate()
            raise
        if said != "COMMIT":
            # The server took it back, as something in it had failed; nobody may be told that it was done.
            round_.is_committing = False
            raise StoreUnavailable

    async def _take_turns(self, round_: "_Round", connection: Any) -> None:
        clock = asyncio.get_running_loop().time
        closes, turn = clock() + _MOST_SECONDS, round_.first
        while True:
            if not turn.begins.done():
                round_.current = turn
                turn.begins.set_result(connection)
                round_.ended(turn, changed=await turn.ends)
            is_full = turn.until is None or len(round_.turns) == _MOST_TURNS or clock() > closes
            following = None if is_full else self._next()
            if following is not None and following.until is None:
                # It has a round alone.
                self._waiting.appendleft(following)
                following = None
            if following is None:
                round_.is_taking = False
                self._close()
                return
            turn = following
            try:
                await connection.execute("RELEASE turn;SAVEPOINT turn" if round_.has_kept_last else "ROLLBACK TO turn")
            except BaseException:
                # It had not begun.
                self._waiting.appendleft(turn)
                raise

    async def _settle(self, first: Turn, name: str) -> Exception | None:
        """Find out what became of a transaction: None if it committed; OutcomeUnknown where nobody can say."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(first.until):
                for _ in range(_SETTLE_TRIES):
                    status = await self._status(name)
                    if status is not None:
                        return None if status == "committed" else StoreUnavailable()
                    await asyncio.sleep(_SETTLE_PAUSE)
        return OutcomeUnknown()

    async def _status(self, name: str) -> str | None:
        """Of a transaction that is over, if somebody can be asked."""
        try:
            with translated():
                connection = await connect(self._dsn)
                try:
                    status = await connection.fetchval("SELECT pg_xact_status($1::text::xid8)", name)
                finally:
                    connection.terminate()
        except StoreUnavailable as fault:
            end_if_cancelled(fault)
            return None
        return str(status) if status in ("committed", "aborted") else None


class _Round:
    """How far one has come."""

    def __init__(self, first: Turn) -> None:
        self.first = self.current = first
        self.turns: list[Turn] = []
        """Those that wait for the commit."""
        self.name = ""
        self.has_changed = False
        self.has_kept_last = False
        self.is_taking = True
        self.is_committing = False

    def ended(self, turn: Turn, *, changed: bool) -> None:
        """One more had its turn; what it says rests on those before."""
        self.has_kept_last = changed
        self.has_changed = self.has_changed or changed
        self.name = turn.name or self.name
        if self.has_changed:
            self.turns.append(turn)
        else:
            turn.tell(None)

    def commit(self) -> None:
        """The word goes out."""
        self.is_committing = True
        for turn in self.turns:
            turn.is_committing = True


def _limits(connection: Any, until: float | None) -> str:
    """The same time for the server: it may be stopped, and find the rest of a transaction waiting when it goes on."""
    if until is None:
        return ""
    millis = max(1, round((until - asyncio.get_running_loop().time()) * 1e3))
    names = ["lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"]
    if connection.get_server_version().major >= _TRANSACTION_TIMEOUT_SINCE:
        names.append("transaction_timeout")
    return "".join(f"SET LOCAL {name} = {millis};" for name in names)
