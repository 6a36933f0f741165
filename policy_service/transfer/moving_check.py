"""Is the file of a moved policy whole and sound? Each line is judged before any of them reaches a store."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NoReturn

from policy_service.decide import vetted_model
from policy_service.errors import InvalidRequest
from policy_service.members import RoleChainTooLong, parse_email, refuse_long_chains
from policy_service.policy_text import BrokenPolicy, Fault, seed_rows
from policy_service.seed import csv_lines
from policy_service.store import digested
from policy_service.transfer.checked import Checked as Checked
from policy_service.transfer.line_values import FIELDS, HEADER, MAIL, MESSAGE_ID, are, infos_of, is_moment
from policy_service.vocabulary import (
    ANY,
    BUILT_IN_ROLES,
    OWNER,
    SYSTEM_DOMAIN,
    Effect,
    Origin,
    Physician,
    Row,
    is_naming,
    is_own_right,
    line_fault,
    method_in,
    parse_action,
    parse_physician,
    parse_role,
    parse_user,
    ptype_of,
    row_fault,
    subject_of_role,
)

FORMAT: Final = "policy-service policy 1"
_KINDS: Final = tuple(FIELDS)
_SEED_DOMAINS: Final = (ANY, SYSTEM_DOMAIN)
_CHUNK: Final = 2_000


def check(path: Path, methods: frozenset[str], *, shipped: Iterable[Row] = ()) -> Iterator[int | Checked]:
    """Read a file and judge every line: bytes read so far, now and then, and at last what it holds.

    A file of a release to whose code the actions belonged tells of none: it is judged by those ``shipped``.

    Raises BrokenPolicy with the line and fault, also for a file that cannot be read.
    """
    reader = _Reader(path, [row for row in shipped if row.ptype == "a"])
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                reader.read(number, line)
                if number % _CHUNK == 0:
                    yield file.tell()
    except OSError as fault:
        raise BrokenPolicy(str(path), [Fault(line=1, text=f"cannot be read: {fault.strerror}")]) from fault
    yield reader.checked(methods)


class _Reader:
    """Judges the lines of a file one after the other."""

    def __init__(self, path: Path, shipped: list[Row]) -> None:
        self._path = path
        self._shipped = shipped
        self._number = 0
        self._header: dict[str, Any] | None = None
        self._kind = _KINDS[0]
        self._counts = dict.fromkeys(_KINDS, 0)
        self._digest = hashlib.sha256()
        self._rules_digest = hashlib.sha256()
        self._ended = False
        self._users: set[str] = set()
        self._owners: dict[str, str] = {}
        self._owned: set[tuple[str, str]] = set()
        self._seed: list[Row] = []
        self._own_rights: list[Row] = []
        self._actions = infos_of(shipped)
        """The file's own stand before all rows that name them."""
        self._built_in = {subject_of_role(role) for role in BUILT_IN_ROLES}
        """Subjects of the roles that hold in all accounts, which stand before all accounts' rows."""
        self._account: list[Row] = []
        """Rows of the account at hand."""
        self._last: tuple[str, ...] = ()
        """What the line before is sorted by; a line that does not come after it stands there twice, or was moved."""
        self._seen: set[tuple[str, ...]] = set()
        """What else only one line may have: an address, an invitation's token, its message, its place."""

    def read(self, number: int, line: bytes) -> None:
        self._number = number
        if self._ended:
            self._refuse("there is something after the last line")
        kind, fields = self._parse(line)
        if kind == "end":
            self._end(fields)
            return
        self._digest.update(line)
        if self._header is None:
            self._header = self._first(kind, fields)
            return
        if not are(fields, FIELDS.get(kind)):
            self._refuse("not a user, physician, rule or invitation with all of its fields")
        if _KINDS.index(kind) < _KINDS.index(self._kind):
            self._refuse(f"a {kind} after a {self._kind}")
        if kind != self._kind:
            self._end_account()
            self._kind, self._last = kind, ()
        self._counts[kind] += 1
        try:
            getattr(self, f"_{kind}")(*fields)
        except InvalidRequest as fault:
            self._refuse(str(fault))

    def _parse(self, line: bytes) -> tuple[str, Any]:
        try:
            found = json.loads(line) if line.endswith(b"\n") else None
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict) or len(found) != 1:
            self._refuse("not a line of such a file, or not a whole one")
        ((kind, fields),) = found.items()
        return kind, fields

    def _first(self, kind: str, fields: Any) -> dict[str, Any]:
        if kind != "policy" or not isinstance(fields, dict) or fields.get("format") != FORMAT:
            self._refuse(f"not the first line of a file of {FORMAT!r}")
        if not are([fields.get(name) for name in HEADER], tuple(HEADER.values())) or len(fields) != len(HEADER):
            self._refuse("the header is not one of revision, counts and model")
        if not 0 < fields["revision"] < 1 << 63:
            self._refuse("the header's revision is none")
        if not fields["model"].replace("\n", "").replace("\t", "").isprintable():
            self._refuse("the model has characters that are not for print")
        vetted_model(fields["model"], f"{self._path} (model)")
        return fields

    def _user(self, name: str, email: str | None, _: bool) -> None:  # noqa: FBT001 - as it stands in the file.
        parse_user(name)
        self._after(name)
        self._users.add(name)
        if email is not None:
            self._address(email)
            # As the table's index compares them.
            self._once("address", email.lower())

    def _physician(self, name: str, owner: str, title: str) -> None:
        parse_physician(name)
        self._after(name)
        if owner not in self._users:
            self._refuse(f"{name}'s owner {owner} is no user of this file")
        self._line_for_people(title)
        self._owners[name] = owner

    def _rule(self, origin: str, ptype: str, *values: str) -> None:
        if ptype == "g":
            *values, last = values  # type: ignore[assignment]
            if last:
                self._refuse("a g row with four fields")
        if fault := row_fault(ptype, tuple(values), or_own_right=True):
            self._refuse(str(fault))
        row = Row(ptype=ptype_of(ptype), values=tuple(values))
        is_seeds = row.domain in _SEED_DOMAINS and not is_own_right(row)
        if origin != (Origin.SEED if is_seeds else Origin.API):
            self._refuse(f"a row of domain {row.domain} is not of origin {origin}")
        self._after(row.domain, ptype, *values)
        self._rules_digest.update(digested(ptype, values))
        if origin == Origin.SEED:
            self._seed.append(row)
            if row.ptype == "a":
                self._actions = infos_of(row for row in self._seed if row.ptype == "a")
            elif row.domain == ANY:
                self._built_in.add(row.values[0])
            return
        if row.domain == SYSTEM_DOMAIN:
            self._own_rights.append(row)
            return
        physician = row.domain.partition(":")[2]
        if physician not in self._owners:
            self._refuse(f"a row of {physician}, who is not registered in this file")
        if self._account and self._account[0].domain != row.domain:
            self._end_account()
        self._account.append(row)
        self._refuse_more_than_invited(physician, row)

    def _refuse_more_than_invited(self, physician: str, row: Row) -> None:
        """What the service lets nobody have, no file may bring."""
        subject, second = row.values[:2]
        if subject in self._built_in:
            self._refuse(f"rows of {physician} define {subject}, which is built in")
        if row.ptype == "g" and second == subject_of_role(OWNER):
            if subject != f"user:{self._owners[physician]}":
                self._refuse(f"{subject} holds owner of {physician}, who is not the owner")
            self._owned.add((physician, subject))
        if row.ptype == "p":
            self._refuse_unknown(row.values[2])
            if row.values[3] == Effect.ALLOW and self._is_owners(row.values[2]):
                self._refuse(f"{subject} of {physician} may {row.values[2]}, which is the owner's alone")

    def _refuse_unknown(self, action: str) -> None:
        if action not in self._actions:
            self._refuse(f"{action!r} is not an action that this file tells of")

    def _is_owners(self, action: str) -> bool:
        return self._actions[action].owner_only

    def _end_account(self) -> None:
        """Judge an account's rows together."""
        if self._account:
            physician = Physician(self._account[0].domain.partition(":")[2])
            try:
                refuse_long_chains(physician, self._account)
            except RoleChainTooLong as fault:
                self._refuse(str(fault))
            self._account = []

    def _invitation(
        self, name: str, physician: str, user: str, email: str, roles: list[Any], actions: list[Any], *rest: Any
    ) -> None:
        invited_by, invited_at, expires_at, generation, token_hash, message, mail = rest
        if physician not in self._owners:
            self._refuse(f"an invitation to {physician}, who is not registered in this file")
        for one in (user, invited_by):
            parse_user(one)
        if not are([*roles, *actions], (str,) * len(roles + actions)) or bool(roles) == bool(actions):
            self._refuse("an invitation gives roles or actions")
        for role in roles:
            parse_role(role, "roles")
        for action in actions:
            self._refuse_unknown(parse_action(action, "actions"))
        if OWNER in roles or any(map(self._is_owners, actions)):
            self._refuse("an invitation gives what is the owner's alone")
        self._address(email)
        if not name.isprintable() or not MESSAGE_ID.fullmatch(message):
            self._refuse("an invitation without its id, or without its e-mail's Message-ID")
        if not all(map(is_moment, (invited_at, expires_at))) or not 0 < generation < 1 << 31 or mail not in MAIL:
            self._refuse("an invitation without its times, its count of links or the state of its e-mail")
        if len(token_hash) != 64 or not set(token_hash) <= set("0123456789abcdef"):
            self._refuse("an invitation without its token's hash")
        self._after(name)
        self._once("token", token_hash)
        self._once("message", message)
        self._once("open invitation", physician, user)

    def _address(self, email: str) -> None:
        if parse_email(email) != email:
            self._refuse(f"the address {email!r} is not written as the service writes it, {parse_email(email)}")

    def _line_for_people(self, text: str) -> None:
        if fault := line_fault(text):
            self._refuse(f"{text!r} {fault}")

    def _after(self, *key: str) -> None:
        if key <= self._last:
            self._refuse("this line stands there twice, or not in its place")
        self._last = key

    def _once(self, what: str, *name: str) -> None:
        if (what, *name) in self._seen:
            self._refuse(f"this {what} stands there twice: {' '.join(name)}")
        self._seen.add((what, *name))

    def _end(self, fields: Any) -> None:
        if fields != {"lines": self._number - 1, "sha256": self._digest.hexdigest()}:
            self._refuse("count or SHA-256 is not that of the lines before: the file was cut or edited")
        self._ended = True

    def checked(self, methods: frozenset[str]) -> Checked:
        if not self._ended or self._header is None:
            self._number += 1
            self._refuse("the last line is missing: the file was cut off")
        self._end_account()
        counts = self._header["counts"]
        if counts != self._counts or any(type(count) is not int for count in counts.values()):
            self._refuse(f"the header speaks of {counts}, there are {self._counts}")
        for physician, owner in self._owners.items():
            if (physician, f"user:{owner}") not in self._owned:
                self._refuse(f"{physician}'s owner {owner} has no grant of owner")
        for row in self._own_rights:
            if not is_naming(row.values[2]) and method_in(row.values[2]) not in methods:
                self._refuse(f"{row.values[0]} may {row.values[2]}, which is no method")
        told = [] if any(row.ptype == "a" for row in self._seed) else self._shipped
        seed_rows("\n".join(csv_lines([*told, *self._seed])), f"{self._path} (built-in rows)", methods=methods)
        return Checked(
            path=self._path,
            revision=self._header["revision"],
            model=self._header["model"],
            counts=self._counts,
            lines=self._number,
            digest=self._digest.hexdigest(),
            rules_digest=self._rules_digest.hexdigest(),
            seed=tuple(self._seed),
            own_rights=tuple(self._own_rights),
        )

    def _refuse(self, words: str) -> NoReturn:
        raise BrokenPolicy(str(self._path), [Fault(line=self._number, text=words)])
