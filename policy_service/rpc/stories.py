"""How Manage Users writes: each story in one transaction, and once for each idempotency key.

What can be asked of Casbin before the lock is held is asked before it.
"""

import hashlib
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Any, TypeVar, cast

from policy_service.decide import Model
from policy_service.members import (
    AddressChanges,
    Invitations,
    Questions,
    Standing,
    custom_roles,
    foresee,
)
from policy_service.rpc.manage_values import (
    response_type,
    what_to_keep,
)
from policy_service.rpc.reach import Reaches
from policy_service.store import Store, Transaction
from policy_service.vocabulary import (
    BUILT_IN_ROLES,
    Physician,
    Role,
    User,
    parse_key,
)

Response = TypeVar("Response", bound=Any)


class Stories:
    """What the methods of Manage Users act with, and how they write."""

    def __init__(
        self,
        store: Store,
        model: Model,
        invitations: Invitations,
        addresses: AddressChanges,
        *,
        clock: Callable[[], datetime],
        written: Callable[[], None],
        reaches: Reaches,
    ) -> None:
        """``written`` is called after each write that queued an e-mail.

        ``reaches`` tell for whom a caller may call, where only a link says which account it is about.
        """
        self._reaches = reaches
        self._store = store
        self._model = model
        self._invitations = invitations
        self._addresses = addresses
        self._clock = clock
        self._written = written

    def _refuse_beyond(self, caller: str, name: str, physician: Physician) -> None:
        """Raise CallerNotAllowedThere for the account of a link that is none of the caller's; nothing is done then."""
        self._reaches.refuse_beyond(caller, f"ManageUsersService/{name}", physician, "token")

    async def _foresee(self, physician: Physician, ask: Questions) -> Standing | None:
        return await foresee(self._store, self._model, physician, ask)

    async def _foresee_roles(self, physician: Physician, actor: User, roles: frozenset[Role]) -> None:
        """What the built-in ones allow is known, and asked under the lock at no cost."""
        if not roles <= set(BUILT_IN_ROLES):
            await self._foresee(physician, partial(custom_roles.giving, roles=roles, actor=actor))

    async def _write(
        self, request: Any, caller: str, actor: str, story: Callable[[Transaction], Awaitable[Response]]
    ) -> Response:
        """Run a story in one transaction; once for each idempotency key, whose answer is kept with it."""
        key = parse_key(request.idempotency_key)
        digest = hashlib.sha256(
            request.DESCRIPTOR.full_name.encode() + b"\0" + request.SerializeToString(deterministic=True)
        ).digest()
        async with self._store.transaction(caller=caller, actor=actor, key=key) as tx:
            before = await tx.kept_answer(digest, self._clock())
            if before is not None:
                return cast(Response, response_type(request).FromString(before))
            response = await story(tx)
            written = await tx.named()
            response.revision, response.history = written.revision, written.history
            kept = what_to_keep(key, digest, request, response, tx.user)
            if key:
                tx.keep_answer(kept)
        if key and not written.changed:
            # What changed nothing was taken back whole, the kept answer with it.
            await self._store.keep_answer(caller, kept)
        if tx.has_mail:
            self._written()
        return response
