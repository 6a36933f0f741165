"""The words of the service: identifiers and their grammar, closed sets, frozen values.

Refuses every identifier outside its grammar. The grammars are plain ASCII
without wildcards or separators, so that no name can be a pattern, break a
line of CSV, merge with another under case folding, or carry Casbin's type
prefix. Casbin's own spelling of names is made and read here and nowhere else.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Literal, NewType

from policy_service.errors import InvalidField, InvalidRequest

User = NewType("User", str)
Physician = NewType("Physician", str)
Role = NewType("Role", str)


class Action(StrEnum):
    """Everything that can be asked about, in the order in which lists show it."""

    CLAIM_VIEW = "claim:view"
    CLAIM_SAVE = "claim:save"
    CLAIM_SUBMIT = "claim:submit"
    CLAIM_DELETE = "claim:delete"
    REPORT_GENERATE = "report:generate"
    REPORT_PATIENT_DETAILS = "report:patient_details"
    INVOICE_VIEW = "invoice:view"
    INVOICE_PAY = "invoice:pay"
    USER_LIST = "user:list"
    USER_INVITE = "user:invite"
    USER_EDIT = "user:edit"
    USER_REVOKE = "user:revoke"
    APP_MOBILE = "app:mobile"

    # Enum hashes by name, in Python; these are looked up on every Check.
    __hash__ = str.__hash__


OWNER_ONLY: Final = frozenset({Action.USER_INVITE, Action.USER_EDIT, Action.USER_REVOKE, Action.APP_MOBILE})
"""What no invited user may hold (the "Manage Users" page)."""


class Channel(StrEnum):
    """The way the user came in."""

    WEB = "web"
    MOBILE = "mobile"

    __hash__ = str.__hash__


class Reason(StrEnum):
    """Why a question was answered as it was."""

    GRANTED = "granted"
    NOT_A_MEMBER = "not a member"
    NOT_GRANTED = "not granted"
    DENIED_BY_RULE = "denied by rule"
    CHANNEL_NOT_ALLOWED = "channel not allowed"
    UNKNOWN_ACTION = "unknown action"
    UNKNOWN_PHYSICIAN = "unknown physician"

    __hash__ = str.__hash__


class Effect(StrEnum):
    """What a rule does where it matches."""

    ALLOW = "allow"
    DENY = "deny"


class Origin(StrEnum):
    """Where a row of policy came from; each side changes only its own."""

    SEED = "seed"
    API = "api"


class DecisionLogMode(StrEnum):
    """Which decisions are recorded."""

    ALL = "all"
    DENIALS = "denials"
    OFF = "off"


class DecisionLogFull(StrEnum):
    """What becomes of questions whose decisions there is no room to record."""

    REFUSE = "refuse"
    ANSWER = "answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Answers to a caller that were not recorded, from a first to a last time."""

    caller: str
    """Empty where it was not noted."""
    so_far: int
    """Of this caller in this process since its start, these included."""
    lost: int
    first_at: datetime
    last_at: datetime


OWNER: Final = Role("owner")
BUILT_IN_ROLES: Final = (OWNER, Role("financial_viewer"), Role("data_entry"), Role("administrator"))
"""The roles of the "Manage Users" page."""
ANY: Final = "*"
SYSTEM_DOMAIN: Final = "system"
MAX_ROLE_CHAIN: Final = 8
"""Longest chain user → role → role …, counted in grants. Casbin stops following
silently after nine (its role manager's maximum hierarchy level is ten)."""

_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}", re.ASCII)
_PHYSICIAN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_ROLE = re.compile(r"[a-z][a-z0-9_-]{0,63}", re.ASCII)
# The role of one user's own, custom.USERNAME: no name that can be given to a role has a dot.
_OWN_ROLE = re.compile(r"custom\.[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}", re.ASCII)
_ANY_ROLE = re.compile(f"{_ROLE.pattern}|{_OWN_ROLE.pattern}", re.ASCII)
_SERVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_KEY = re.compile(r"[A-Za-z0-9_-]{0,64}", re.ASCII)
_ACTION = re.compile(r"(?=.{3,64}\Z)[a-z][a-z0-9_]*:[a-z][a-z0-9_]*", re.ASCII)
_METHOD = re.compile(r"[A-Za-z]{1,64}/[A-Za-z]{1,64}", re.ASCII)


def _parse(grammar: re.Pattern[str], text: str, field: str, wanted: str) -> str:
    if grammar.fullmatch(text):
        return text
    fault = "is empty" if not text else f"is not {wanted}"
    raise InvalidRequest(violations=(InvalidField(field=field, description=f"{field} {fault}"),))


def parse_user(text: str, field: str = "user") -> User:
    """Read a username; raises InvalidRequest."""
    return User(_parse(_USER, text, field, "1 to 64 of A-Z a-z 0-9 . _ @ + -, beginning with a letter or digit"))


def parse_physician(text: str, field: str = "physician") -> Physician:
    """Read a physician account's name; raises InvalidRequest."""
    return Physician(_parse(_PHYSICIAN, text, field, "1 to 64 of A-Z a-z 0-9 . _ -, beginning with a letter or digit"))


def parse_role(text: str, field: str = "role") -> Role:
    """Read a role's name; raises InvalidRequest."""
    return Role(_parse(_ROLE, text, field, "1 to 64 of a-z 0-9 _ -, beginning with a letter"))


def parse_service(text: str, field: str = "caller") -> str:
    """Read a calling service's name; raises InvalidRequest."""
    return _parse(_SERVICE, text, field, "1 to 64 of A-Z a-z 0-9 . _ -, beginning with a letter or digit")


def parse_method(text: str, field: str = "method") -> str:
    """Read what a caller may call; raises InvalidRequest."""
    return _parse(_METHOD, text, field, 'Service/Method, as "DecisionService/Check"')


def parse_key(text: str, field: str = "idempotency_key") -> str:
    """Read an idempotency key, which may be empty; raises InvalidRequest."""
    return _parse(_KEY, text, field, "at most 64 of A-Z a-z 0-9 _ -")


def parse_known_action(text: str, field: str = "actions") -> Action:
    """Read an action that exists; raises InvalidRequest for any other."""
    action = parse_action(text, field)
    if action is None:
        raise InvalidRequest(violations=(InvalidField(field=field, description=f"{field} names no known action"),))
    return action


def parse_action(text: str, field: str = "action") -> Action | None:
    """Read an action; None for a well-formed one that does not exist. Raises InvalidRequest."""
    return ACTIONS.get(_parse(_ACTION, text, field, 'two words of a-z 0-9 _ joined by a colon, as "claim:submit"'))


ACTIONS: Final = {str(action): action for action in Action}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an answer says, apart from when. Shared between questions; see engine."""

    allowed: bool
    reason: Reason
    role: Role | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A revision with the mark of the change that made it: a point in one history."""

    revision: int
    mark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a long walk is."""

    done: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of policy in the standard Casbin columns: ``p`` is a rule, ``g`` a grant."""

    ptype: Literal["p", "g"]
    values: tuple[str, ...]

    @property
    def domain(self) -> str:
        """The Casbin domain: ``*``, ``system`` or ``physician:NAME``."""
        return self.values[1] if self.ptype == "p" else self.values[2]


def subject_of_user(user: User) -> str:
    """Casbin's name of a user."""
    return f"user:{user}"


def subject_of_role(role: Role) -> str:
    """Casbin's name of a role."""
    return f"role:{role}"


def subject_of_service(service: str) -> str:
    """Casbin's name of a caller."""
    return f"service:{service}"


def domain_of(physician: Physician) -> str:
    """Casbin's domain of a physician's account."""
    return f"physician:{physician}"


def own_role(user: User) -> Role:
    """The custom role of one user alone, for a free choice of actions."""
    return Role(f"custom.{user}")


def is_own_role(role: Role) -> bool:
    """Is it the role of one user alone?"""
    return role.startswith("custom.")


def grant_row(subject: str, role: Role, domain: str) -> Row:
    """The row that says: subject has role in domain."""
    return Row(ptype="g", values=(subject, subject_of_role(role), domain))


def rule_row(role: Role, domain: str, action: str, effect: Effect) -> Row:
    """The row that says: role may (not) do action in domain."""
    return Row(ptype="p", values=(subject_of_role(role), domain, action, effect))


def name_in(prefixed: str) -> str:
    """The plain name in ``user:alice``, ``role:owner`` or ``physician:dr-osei``."""
    return prefixed.partition(":")[2]


class Misfit(StrEnum):
    """The part of a row that the grammar refuses."""

    ROW_TYPE = "row-type"
    FIELD_COUNT = "field-count"
    SUBJECT = "subject"
    DOMAIN = "domain"
    ACTION = "action"
    EFFECT = "effect"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFault:
    """What is wrong with a row: which part, in words, and the field it stands in (0 is the row type)."""

    misfit: Misfit
    field: int
    text: str

    def __str__(self) -> str:
        """The words."""
        return self.text


def row_fault(ptype: str, values: tuple[str, ...]) -> RowFault | None:
    """The first thing wrong with a row of policy, or None.

    The same rule guards every way into the store: seed files, demo data and
    the service's own writes.
    """
    return next(row_faults(ptype, values), None)


def row_faults(ptype: str, values: tuple[str, ...]) -> Iterator[RowFault]:
    """Everything wrong with a row; what hangs on a field that is wrong itself is not judged."""
    if ptype == "p":
        yield from _rule_faults(values)
    elif ptype == "g":
        yield from _grant_faults(values)
    else:
        yield RowFault(misfit=Misfit.ROW_TYPE, field=0, text=f"row type {ptype!r} is neither p nor g")


def _rule_faults(values: tuple[str, ...]) -> Iterator[RowFault]:
    if len(values) != 4:
        text = f"a p row has 4 fields after the p (subject, domain, action, effect), this one has {len(values)}"
        yield RowFault(misfit=Misfit.FIELD_COUNT, field=min(len(values), 5), text=text)
        return
    subject, domain, action, effect = values
    if wrong := _domain_fault(domain):
        yield RowFault(misfit=Misfit.DOMAIN, field=2, text=wrong)
    # A built-in rule is a role's: a user named in the seed would be somebody in every account at once.
    kinds = ("role",) if domain in (ANY, SYSTEM_DOMAIN) else ("user", "role")
    if fault := _subject_fault(subject, allowed=kinds):
        yield RowFault(misfit=Misfit.SUBJECT, field=1, text=fault)
    if effect not in (Effect.ALLOW, Effect.DENY):
        yield RowFault(misfit=Misfit.EFFECT, field=4, text=f"effect {effect!r} is neither allow nor deny")
    if not wrong and (fault := _action_fault(action, domain)):
        yield RowFault(misfit=Misfit.ACTION, field=3, text=fault)


def _grant_faults(values: tuple[str, ...]) -> Iterator[RowFault]:
    if len(values) != 3:
        text = f"a g row has 3 fields after the g (subject, role, domain), this one has {len(values)}"
        yield RowFault(misfit=Misfit.FIELD_COUNT, field=min(len(values), 4), text=text)
        return
    subject, role, domain = values
    if domain == ANY:
        yield RowFault(misfit=Misfit.DOMAIN, field=3, text="a grant belongs to one domain, not to *")
    elif fault := _domain_fault(domain):
        yield RowFault(misfit=Misfit.DOMAIN, field=3, text=fault)
    else:
        kinds = ("service", "role") if domain == SYSTEM_DOMAIN else ("user", "role")
        if fault := _subject_fault(subject, allowed=kinds):
            yield RowFault(misfit=Misfit.SUBJECT, field=1, text=fault)
    if fault := _subject_fault(role, allowed=("role",)):
        yield RowFault(misfit=Misfit.SUBJECT, field=2, text=fault)


_SUBJECTS: Final = {"user": _USER, "role": _ANY_ROLE, "service": _SERVICE}


def _subject_fault(text: str, allowed: tuple[str, ...]) -> str | None:
    kind, _, name = text.partition(":")
    if kind in allowed and _SUBJECTS[kind].fullmatch(name):
        return None
    return f"{text!r} is not " + " or ".join(f"{kind}:NAME" for kind in allowed)


def _domain_fault(text: str) -> str | None:
    if text in (ANY, SYSTEM_DOMAIN):
        return None
    kind, _, name = text.partition(":")
    return (
        None if kind == "physician" and _PHYSICIAN.fullmatch(name) else f"{text!r} is not *, system or physician:NAME"
    )


def _action_fault(text: str, domain: str) -> str | None:
    if domain == SYSTEM_DOMAIN:
        return None if text == ANY or _METHOD.fullmatch(text) else f"{text!r} is not * or Service/Method"
    if text in ACTIONS or (text == ANY and domain == ANY):
        return None
    return f"{text!r} is not an action" + ("" if domain == ANY else " (and * is for built-in rules only)")
