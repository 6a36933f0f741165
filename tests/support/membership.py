"""A small model of invitation, membership and credentials, written from docs/manage-users.md and from nothing else.

It knows accounts 0 and 1 with an owner each, a few usernames and addresses, and
a clock in days. Each method says what the service must answer: "done", or the
reason of a refusal; and remembers what that made of the world.
"""

from dataclasses import dataclass, field, replace

WEEK = 7


@dataclass(frozen=True, kw_only=True)
class Invited:
    account: int
    user: str
    email: str
    state: str = "pending"
    until: int
    link: int = 1
    accepted_at: int = 0


@dataclass(frozen=True, kw_only=True)
class Wish:
    user: str
    email: str
    asked: int
    is_open: bool = True


@dataclass
class Kept:
    """A call done under a key: what it was, whom it is about, when its answer ends."""

    call: tuple
    about: frozenset
    until: int | None
    is_overtaken: bool = False


@dataclass
class Membership:
    """The whole world of one sequence."""

    now: int = 0
    tick: int = 0
    addresses: dict[str, str] = field(default_factory=dict)
    """Of users who confirmed one; None-like empty where they have none."""
    set_up: dict[str, bool] = field(default_factory=dict)
    members: set[tuple[int, str]] = field(default_factory=set)
    invitations: list[Invited] = field(default_factory=list)
    wishes: list[Wish] = field(default_factory=list)
    kept: dict[str, Kept] = field(default_factory=dict)

    # What holds now.

    def is_open(self, one: Invited) -> bool:
        return one.state == "pending" and one.until > self.now

    def open_at(self, account: int, user: str) -> int | None:
        return next(
            (n for n, i in enumerate(self.invitations) if self.is_open(i) and (i.account, i.user) == (account, user)),
            None,
        )

    def awaits(self, number: int) -> bool:
        one = self.invitations[number]
        newest = max(
            (
                i.accepted_at
                for i in self.invitations
                if i.state == "accepted" and (i.account, i.user) == (one.account, one.user)
            ),
            default=0,
        )
        return (
            one.state == "accepted"
            and one.accepted_at == newest
            and (one.account, one.user) in self.members
            and not self.set_up[one.user]
        )

    def holders(self, but: int | None = None) -> list[tuple[str, str]]:
        """Everybody who holds a name, with the address that is theirs or reserved for them."""
        known = [(user, self.addresses.get(user, "")) for user in self.set_up]
        reserved = [
            (i.user, i.email)
            for n, i in enumerate(self.invitations)
            if n != but and self.is_open(i) and i.user not in self.set_up
        ]
        return known + reserved

    def prompt(self, user: str, email: str, *, reuse: bool, but: int | None = None) -> str:
        held = self.holders(but)
        # Confirmed before reserved: the known stand first.
        owner = next((name for name, address in held if same(address, email)), user)
        if owner != user:
            return "USER_EXISTS"
        mine = [address for name, address in held if name == user]
        if not mine:
            return "USER_EXISTS" if any(name.lower() == user.lower() for name, _ in held) else ""
        if mine[0] and not same(mine[0], email):
            return "USER_MISMATCH"
        return "" if reuse else "USER_EXISTS"

    # What the service is told.

    def do(self, call: tuple, key: str = "") -> str:
        """The outcome of a call; ``key`` makes it one that may be repeated."""
        if key and (before := self.kept.get(key)):
            if before.call != call:
                return "IDEMPOTENCY_KEY_REUSED"
            overtaken = before.is_overtaken or (before.until is not None and before.until <= self.now)
            return "SUPERSEDED" if overtaken else "again"
        name, *given = call
        self.tick += 1
        self.about: frozenset = frozenset()
        self.touched: frozenset = frozenset()
        self.until: int | None = None
        said = getattr(self, name)(*given)
        if said == "done":
            for kept in self.kept.values():
                kept.is_overtaken |= bool(kept.about & self.touched)
            if key:
                self.kept[key] = Kept(call, self.about, self.until)
        return said

    def pass_time(self, days: int) -> str:
        self.now += days
        return "done"

    def invite(self, account: int, user: str, email: str, reuse: bool) -> str:
        if (account, user) in self.members:
            return "ALREADY_A_MEMBER"
        if self.open_at(account, user) is not None:
            return "ALREADY_INVITED"
        if said := self.prompt(user, email, reuse=reuse):
            return said
        for number, one in enumerate(self.invitations):
            if one.state == "pending" and (one.account, one.user) == (account, user):
                self.invitations[number] = replace(one, state="expired")
        self.until = self.now + WEEK
        self.invitations.append(Invited(account=account, user=user, email=email, until=self.until))
        self._concerns(account, user)
        return "done"

    def resend(self, account: int, number: int, email: str) -> str:
        if self._of(account, number) is None:
            return "UNKNOWN_INVITATION"
        one = self.invitations[number]
        if not self.awaits(number) and one.state != "pending":
            return "INVITATION_CLOSED"
        email = email or one.email
        if said := self.prompt(one.user, email, reuse=True, but=number):
            return said
        self.until = self.now + WEEK
        self.invitations[number] = replace(one, email=email, until=self.until, link=one.link + 1)
        self._concerns(one.account, one.user)
        return "done"

    def cancel(self, account: int, number: int) -> str:
        if self._of(account, number) is None:
            return "UNKNOWN_INVITATION"
        one = self.invitations[number]
        if not self.is_open(one):
            return "INVITATION_CLOSED"
        self.invitations[number] = replace(one, state="cancelled")
        self._concerns(one.account, one.user)
        return "done"

    def accept(self, number: int, link: int) -> str:
        one = self._by_link(number, link)
        if one is None or not self.is_open(one):
            return "INVALID_TOKEN"
        others = any(same(address, one.email) for user, address in self.addresses.items() if user != one.user)
        mine = self.addresses.get(one.user, "")
        if others or (mine and not same(mine, one.email)):
            return "USER_MISMATCH"
        self.set_up.setdefault(one.user, False)
        self.addresses.setdefault(one.user, one.email)
        self.members.add((one.account, one.user))
        self.invitations[number] = replace(one, state="accepted", accepted_at=self.tick)
        self._concerns(one.account, one.user)
        return "done"

    def decline(self, number: int, link: int) -> str:
        one = self._by_link(number, link)
        if one is None or not self.is_open(one):
            return "INVALID_TOKEN"
        self.invitations[number] = replace(one, state="declined")
        self._concerns(one.account, one.user)
        return "done"

    def look_up(self, number: int, link: int) -> str:
        one = self._by_link(number, link)
        if one is None or one.until <= self.now or not (self.is_open(one) or self.awaits(number)):
            return "INVALID_TOKEN"
        return "done"

    def complete(self, number: int, link: int) -> str:
        one = self._by_link(number, link)
        if one is not None and one.state == "pending":
            return "NOT_ACCEPTED_YET"
        if one is None or not self.awaits(number):
            return "INVALID_TOKEN"
        self.set_up[one.user] = True
        self._concerns(one.account, one.user)
        self.touched = self.about | {("set up", one.user)}
        return "done"

    def revoke(self, account: int, user: str) -> str:
        waiting = next(
            (
                n
                for n, i in enumerate(self.invitations)
                if i.state == "pending" and (i.account, i.user) == (account, user)
            ),
            None,
        )
        if waiting is None and (account, user) not in self.members:
            return "NOT_A_MEMBER"
        self.members.discard((account, user))
        if waiting is not None:
            self.invitations[waiting] = replace(self.invitations[waiting], state="withdrawn")
        self._concerns(account, user)
        return "done"

    def leave(self, account: int, user: str) -> str:
        if (account, user) not in self.members:
            return "NOT_A_MEMBER"
        self.members.discard((account, user))
        self._concerns(account, user)
        return "done"

    def register(self, user: str) -> str:
        """Opens another account of one's own; the outcome is about the name alone."""
        if user not in self.set_up:
            names = [name for name, _ in self.holders()]
            if any(name.lower() == user.lower() for name in names):
                first = min(
                    (name for name in names if name.lower() == user.lower()),
                    key=lambda name: (name not in self.set_up, name),
                )
                return "NAME_RESERVED" if first == user else "NAME_TOO_SIMILAR"
            self.set_up[user] = True
        self.about = frozenset()
        return "done"

    def change_address(self, user: str, email: str) -> str:
        if user not in self.set_up:
            return "UNKNOWN_USER"
        if not self.set_up[user]:
            return "SETUP_UNFINISHED"
        if self.addresses.get(user) == email:
            return "ADDRESS_UNCHANGED"
        if len([wish for wish in self.wishes if wish.user == user and wish.asked > self.now - 1]) >= 5:
            return "TOO_MANY_ADDRESS_CHANGES"
        self.wishes = [replace(w, is_open=w.is_open and w.user != user) for w in self.wishes]
        self.wishes.append(Wish(user=user, email=email, asked=self.now))
        self.until = self.now + WEEK
        self._concerns(None, user)
        return "done"

    def confirm_address(self, number: int) -> str:
        if number >= len(self.wishes):
            return "INVALID_TOKEN"
        wish = self.wishes[number]
        if not wish.is_open or wish.asked + WEEK <= self.now:
            return "INVALID_TOKEN"
        if any(same(address, wish.email) for user, address in self.addresses.items() if user != wish.user):
            return "ADDRESS_TAKEN"
        before = self.addresses.get(wish.user, "")
        self.addresses[wish.user] = wish.email
        self.wishes[number] = replace(wish, is_open=False)
        followed = set()
        for n, one in enumerate(self.invitations):
            if self.is_open(one) and one.user == wish.user:
                self.invitations[n] = replace(one, email=wish.email, link=one.link + 1)
                followed.add((one.account, one.user))
            elif one.state == "pending" and one.user == wish.user and same(one.email, before):
                self.invitations[n] = replace(one, email=wish.email)
        self._concerns(None, wish.user)
        self.touched |= followed
        return "done"

    def _of(self, account: int, number: int) -> Invited | None:
        known = number < len(self.invitations) and self.invitations[number].account == account
        return self.invitations[number] if known else None

    def _by_link(self, number: int, link: int) -> Invited | None:
        """The invitation whose last link this is, counted from the last: 0, or an older one, which leads nowhere."""
        if number >= len(self.invitations) or link > 0:
            return None
        return self.invitations[number]

    def _concerns(self, account: int | None, user: str) -> None:
        # An answer about somebody is also overtaken by the end of their set-up, wherever that was.
        self.about, self.touched = frozenset({(account, user), ("set up", user)}), frozenset({(account, user)})


def same(one: str, other: str) -> bool:
    """One address, however it is written."""
    return bool(one) and one.lower() == other.lower()
