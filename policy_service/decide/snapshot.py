"""All physicians' rows at one revision, and every question about them.

Never changes: the follower makes the next snapshot from this one, sharing all
that stayed the same. So each answer, each batch and each list rests on one
revision, whatever happens meanwhile.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Final, Self

from policy_service.decide.account import Account
from policy_service.decide.callers import Callers
from policy_service.decide.engine import Basis
from policy_service.decide.errors import UnknownPhysician
from policy_service.decide.explanation import Explanation
from policy_service.vocabulary import (
    Action,
    Channel,
    Held,
    History,
    Outcome,
    Physician,
    Reason,
    Role,
    Row,
    User,
    name_in,
    subject_of_user,
)

_SHARDS: Final = 1024
"""A change copies one shard, not everything: about 100 entries at 100,000 physicians."""

UNKNOWN_ACTION: Final = Outcome(allowed=False, reason=Reason.UNKNOWN_ACTION)
UNKNOWN_PHYSICIAN: Final = Outcome(allowed=False, reason=Reason.UNKNOWN_PHYSICIAN)

Accounts = tuple[dict[Physician, Account], ...]
Memberships = tuple[dict[str, tuple[Physician, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """One line of a list: somebody, somewhere, something."""

    name: str
    outcome: Outcome
    roles: tuple[Role, ...] = ()
    actions: tuple[Action, ...] = ()


class Snapshot:
    """The policy at ``revision``."""

    __slots__ = ("_accounts", "_memberships", "basis", "callers", "held", "history", "revision")

    def __init__(
        self,
        held: Held,
        basis: Basis,
        accounts: Accounts,
        memberships: Memberships,
        history: History,
        callers: Callers,
    ) -> None:
        """Use ``of`` or ``after``."""
        self.callers = callers
        self.held = held
        self.history = history
        self.revision = held.revision
        self.basis = basis
        self._accounts = accounts
        self._memberships = memberships

    @classmethod
    def of(
        cls,
        held: Held,
        basis: Basis,
        accounts: Iterable[Account],
        history: History | None = None,
        callers: Callers | None = None,
    ) -> Self:
        """A snapshot of all accounts, each given once, with the history that led to it, if that is known.

        ``callers`` are those of the basis unless there are more.
        """
        shards: Accounts = tuple({} for _ in range(_SHARDS))
        places: tuple[dict[str, list[Physician]], ...] = tuple({} for _ in range(_SHARDS))
        for account in accounts:
            shards[hash(account.physician) % _SHARDS][account.physician] = account
            for subject in account.subjects():
                places[hash(subject) % _SHARDS].setdefault(subject, []).append(account.physician)
        memberships = tuple({subject: tuple(sorted(held)) for subject, held in shard.items()} for shard in places)
        return cls(held, basis, shards, memberships, history or History.ending(held), callers or basis.callers)

    @classmethod
    def of_rows(cls, basis: Basis, rows: Iterable[Row]) -> Self:
        """A snapshot of accounts' rows in any order, at no revision: for files."""
        by_domain = groupby(sorted(rows, key=lambda row: row.domain), key=lambda row: row.domain)
        accounts = (Account.of_rows(basis, Physician(name_in(domain)), held) for domain, held in by_domain)
        return cls.of(Held(revision=0), basis, accounts)

    def after(
        self, held: Held, changed: Mapping[Physician, Account | None], history: History | None = None
    ) -> "Snapshot":
        """The next snapshot: the changed accounts replaced, or removed where None."""
        accounts, memberships = list(self._accounts), list(self._memberships)
        copied: set[tuple[str, int]] = set()
        for physician, account in changed.items():
            shard = hash(physician) % _SHARDS
            if ("account", shard) not in copied:
                copied.add(("account", shard))
                accounts[shard] = dict(accounts[shard])
            before = accounts[shard].pop(physician, None)
            if account is not None:
                accounts[shard][physician] = account
            old = set(before.subjects()) if before else set()
            new = set(account.subjects()) if account else set()
            for subject in old ^ new:
                place = hash(subject) % _SHARDS
                if ("member", place) not in copied:
                    copied.add(("member", place))
                    memberships[place] = dict(memberships[place])
                places = {*memberships[place].pop(subject, ())} ^ {physician}
                if places:
                    memberships[place][subject] = tuple(sorted(places))
        return Snapshot(
            held, self.basis, tuple(accounts), tuple(memberships), history or History.ending(held), self.callers
        )

    def on(self, held: Held, basis: Basis, history: History | None = None) -> "Snapshot":
        """The same accounts under other built-in rules, with the callers that those know."""
        accounts = tuple({name: account.on(basis) for name, account in shard.items()} for shard in self._accounts)
        return Snapshot(held, basis, accounts, self._memberships, history or History.ending(held), basis.callers)

    def with_callers(self, callers: Callers) -> "Snapshot":
        """The same, asked by others: what is remembered of accounts stays."""
        return Snapshot(self.held, self.basis, self._accounts, self._memberships, self.history, callers)

    def physicians(self) -> Iterator[Physician]:
        """Every registered physician, in no order."""
        return (physician for shard in self._accounts for physician in shard)

    def changed_since(self, before: "Snapshot") -> Iterator[Physician]:
        """Every physician whose account is another than it was, or was not or is not there.

        Takes hardly longer than there are changes: what stayed the same is shared.
        """
        for now, then in zip(self._accounts, before._accounts, strict=True):  # noqa: SLF001 - one of its own kind.
            if now is not then:
                yield from (name for name in {*now, *then} if now.get(name) is not then.get(name))

    def account(self, physician: str) -> Account | None:
        """A registered physician's account."""
        return self._accounts[hash(physician) % _SHARDS].get(physician)  # type: ignore[call-overload, no-any-return]

    def check(self, user: User, physician: Physician, action: Action, channel: Channel) -> Outcome:
        """May the user do this there?"""
        account = self.account(physician)
        if account is None:
            return UNKNOWN_PHYSICIAN
        if action not in self.basis.catalogue:
            return UNKNOWN_ACTION
        return account.outcome(user, action, channel)

    def remembered(self, user: str, physician: str, slot: int) -> Outcome | None:
        """The answer, if this very question was answered before; takes names that nobody has read yet."""
        account = self._accounts[hash(physician) % _SHARDS].get(physician)  # type: ignore[call-overload]
        if account is None or (known := account.remembered.get(user)) is None:
            return None
        return self.basis.outcomes[ord(known[slot])]

    def explain(self, user: User, physician: Physician, action: Action, channel: Channel) -> Explanation:
        """The answer of ``check`` with its grounds."""
        account = self.account(physician)
        if account is None:
            return Explanation(outcome=UNKNOWN_PHYSICIAN)
        if action not in self.basis.catalogue:
            return Explanation(outcome=UNKNOWN_ACTION, roles=account.roles_of(user))
        return account.explain(user, action, channel)

    def actions(self, user: User, physician: Physician, channel: Channel) -> tuple[Access, ...]:
        """Every action, allowed or not, in the catalogue's order."""
        return tuple(
            Access(name=action, outcome=self.check(user, physician, action, channel))
            for action in self.basis.catalogue.actions
        )

    def roles(self, user: User, physician: Physician) -> tuple[Role, ...]:
        """Every role that the user holds directly there."""
        account = self.account(physician)
        return account.roles_of(user) if account else ()

    def users(self, physician: Physician, action: Action, channel: Channel) -> tuple[Access, ...]:
        """Everyone who may do this there, in byte order. Raises UnknownPhysician and UnknownAction."""
        self.require_known(action)
        account = self.account(physician)
        if account is None:
            raise UnknownPhysician(physician=physician)
        outcomes = ((user, account.outcome(user, action, channel)) for user in account.users())
        return tuple(Access(name=user, outcome=outcome) for user, outcome in outcomes if outcome.allowed)

    def require_known(self, action: Action) -> None:
        """Raise UnknownAction unless there is such an action."""
        self.basis.require_known(action)

    def where_known(self, user: User) -> tuple[Physician, ...]:
        """The accounts in which anything is granted to this user, or said of them."""
        subject = subject_of_user(user)
        return self._memberships[hash(subject) % _SHARDS].get(subject, ())

    def places(self, user: User, actions: Iterable[Action], channel: Channel) -> tuple[Access, ...]:
        """Everywhere the user may do any of these, with what they may do there, in byte order."""
        subject, wanted = subject_of_user(user), tuple(actions)
        found = []
        for physician in self._memberships[hash(subject) % _SHARDS].get(subject, ()):
            account = self.account(physician)
            if account is None:
                continue
            outcomes = {action: account.outcome(user, action, channel) for action in wanted}
            allowed = tuple(action for action, outcome in outcomes.items() if outcome.allowed)
            if allowed:
                found.append(
                    Access(
                        name=physician,
                        outcome=outcomes[allowed[0]],
                        roles=account.roles_of(user),
                        actions=allowed,
                    )
                )
        return tuple(found)
