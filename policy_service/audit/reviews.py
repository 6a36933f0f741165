"""Who could do what, then: reviews of access at a revision, decided by Casbin over the rows of that revision.

Reads the rows in one look and closes it before Casbin is asked, in a thread of
its own. A review rests on the rows and the model of then alone: not on what the
service remembers, and not on what it answered at the time.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, islice

from policy_service.audit.past import built_in_at, model_at
from policy_service.decide import Account, Basis, Model, Shapes, UnknownPhysician, shapes_of
from policy_service.members import RoleDefinition, UnknownUser, definitions_of
from policy_service.store import Pending, Point, Since, Store
from policy_service.store import audit as table
from policy_service.vocabulary import (
    Action,
    Channel,
    Outcome,
    Physician,
    Role,
    Row,
    User,
    is_own_role,
    name_in,
    own_role,
    subject_of_user,
)

AsOf = int | datetime | None
"""A revision, or the last one made at or before a time, or now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A role that somebody holds directly, and since when."""

    role: Role
    since: Since


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One action: the outcome on the web, and whether it is allowed in the mobile app too."""

    action: Action
    outcome: Outcome
    mobile: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """One person in one account."""

    user: User
    physician: Physician
    roles: tuple[Held, ...]
    actions: tuple[Judged, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomRole:
    """A role of the account's own; ``allowed`` is what it allows in the end."""

    role: Role
    definition: RoleDefinition
    allowed: tuple[Action, ...]
    holders: tuple[User, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A page of a review. ``head`` is the log's last entry when it was made; ``more`` says that a page follows."""

    point: Point
    head: Point
    access: tuple[Access, ...]
    more: bool
    display_name: str = ""
    custom_roles: tuple[CustomRole, ...] = ()
    pending: tuple[Pending, ...] = ()
    built_in: tuple[Role, ...] = ()
    """On the first page: the roles that mean the same in every account."""
    basis: Basis | None = None
    """On the first page: what read the rows, with the actions of then."""


RowsSince = Sequence[tuple[Row, Since]]


class Reviews:
    """Answers about who could do what."""

    def __init__(self, store: Store, model: Model, *, clock: Callable[[], datetime]) -> None:
        """``model`` is today's; rows are decided under the one of their time."""
        self._store = store
        self._model = model
        self._clock = clock

    async def of_account(self, physician: Physician, as_of: AsOf, *, after: User | None, size: int) -> Review:
        """Everyone in an account, in byte order, after a user.

        The first page, without ``after``, tells of the account itself and of
        its named roles too.
        Raises UnknownRevision, and UnknownPhysician for an account that was
        not registered then.
        """
        async with self._store.reading() as look:
            point = await table.point(look, as_of)
            found = await table.rows_since(look, [physician], point.revision)
            if not found:
                raise UnknownPhysician(physician=physician, at_revision=point.revision)
            model, built_in = await model_at(look, point.revision, self._model), await built_in_at(look, point.revision)
            name = await table.display_name(look, physician)
            moment = self._moment(as_of, point)
            pending = [] if after else await table.pending(look, point.revision, moment, physician=physician)
            head = await table.point(look, None)

        def decide() -> Review:
            basis = Basis(model, built_in)
            judge, account = Shapes(basis), Account.of_rows(basis, physician, (row for row, _ in found))
            page = list(islice(_accesses(judge, account, found, after), size + 1))
            return Review(
                point=point,
                head=head,
                access=tuple(page[:size]),
                more=len(page) > size,
                display_name=name,
                custom_roles=tuple(_custom_roles(judge, account, page[:size], first=after is None)),
                pending=tuple(pending),
                built_in=() if after else basis.roles,
                basis=None if after else basis,
            )

        return await asyncio.to_thread(decide)

    async def of_user(self, user: User, as_of: AsOf, *, after: Physician | None, size: int) -> Review:
        """Every account in which the user held anything, in byte order, after one.

        The first page tells of open invitations too. Raises UnknownRevision,
        and UnknownUser for somebody who never had access, credentials or an invitation.
        """
        subject = subject_of_user(user)
        async with self._store.reading() as look:
            point = await table.point(look, as_of)
            if not await table.is_known(look, user):
                # A mistyped name would read as somebody without access.
                raise UnknownUser(user=user)
            moment = self._moment(as_of, point)
            pending = [] if after else await table.pending(look, point.revision, moment, user=user)
            places = await table.physicians_of(look, subject, point.revision, after=after, size=size + 1)
            found = await table.rows_since(look, places[:size], point.revision, subject=subject)
            model, built_in = await model_at(look, point.revision, self._model), await built_in_at(look, point.revision)
            head = await table.point(look, None)

        def decide() -> Review:
            basis = Basis(model, built_in)
            judge, access = Shapes(basis), list[Access]()
            for domain, group in groupby(found, key=lambda pair: pair[0].domain):
                rows = list(group)
                account = Account.of_rows(basis, Physician(name_in(domain)), (row for row, _ in rows))
                access += _accesses(judge, account, rows, None)
            return Review(
                point=point,
                head=head,
                access=tuple(access),
                more=len(places) > size,
                pending=tuple(pending),
                built_in=() if after else basis.roles,
                basis=None if after else basis,
            )

        return await asyncio.to_thread(decide)

    def _moment(self, as_of: AsOf, point: Point) -> datetime:
        """When it is asked about: invitations lapse without a change."""
        return as_of if isinstance(as_of, datetime) else self._clock() if as_of is None else point.at


def _accesses(judge: Shapes, account: Account, rows: RowsSince, after: User | None) -> Iterable[Access]:
    held: dict[str, list[Held]] = {}
    for row, since in rows:
        if row.ptype == "g":
            held.setdefault(row.values[0], []).append(Held(role=Role(name_in(row.values[1])), since=since))
    for user, shape in shapes_of(account):
        if after is not None and user <= after:
            continue
        outcomes = judge.outcomes(user, shape)
        yield Access(
            user=user,
            physician=account.physician,
            roles=tuple(sorted(held.get(subject_of_user(user), ()), key=lambda role: role.role)),
            actions=tuple(
                Judged(
                    action=action,
                    outcome=outcomes[action, Channel.WEB],
                    mobile=outcomes[action, Channel.MOBILE].allowed,
                )
                for action in judge.basis.catalogue.actions
            ),
        )


def _custom_roles(judge: Shapes, account: Account, page: Iterable[Access], *, first: bool) -> Iterable[CustomRole]:
    """The roles that the account named, on the first page; on each the selections of those on it, who have one each."""
    selections = {own_role(access.user) for access in page}
    told = [
        (role, definition)
        for role, definition in definitions_of(account).items()
        if (role in selections if is_own_role(role) else first)
    ]
    holders: dict[str, list[User]] = {}
    for subject, role in account.grants:
        if subject.startswith("user:"):
            holders.setdefault(name_in(role), []).append(User(name_in(subject)))
    for role, definition in told:
        allowed = judge.allowed_by(account, role)
        yield CustomRole(
            role=role,
            definition=definition,
            allowed=tuple(action for action in judge.basis.catalogue.actions if action in allowed),
            holders=tuple(holders.get(role, ())),
        )
