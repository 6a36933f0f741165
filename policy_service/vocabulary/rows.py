"""Rows of policy as Casbin reads them, and what is wrong with one.

Casbin's own spelling of names is made here and nowhere else.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from policy_service.vocabulary.catalogue import info_faults
from policy_service.vocabulary.identifiers import (
    ACTION,
    ANY_ROLE,
    PHYSICIAN,
    RIGHT,
    SERVICE,
    USER,
    Physician,
    Role,
    User,
)


class Effect(StrEnum):
    """What a rule does where it matches."""

    ALLOW = "allow"
    DENY = "deny"


class Origin(StrEnum):
    """Where a row of policy came from; each side changes only its own."""

    SEED = "seed"
    API = "api"


ANY: Final = "*"
SYSTEM_DOMAIN: Final = "system"
MAX_ROLE_CHAIN: Final = 8
"""Longest chain user → role → role …, counted in grants. Casbin stops following
silently after nine (its role manager's maximum hierarchy level is ten)."""


PType = Literal["p", "g", "a"]
PTYPES: Final[tuple[PType, ...]] = ("p", "g", "a")


def ptype_of(text: str) -> PType:
    """A row's type; raises ValueError for a text that is none."""
    return PTYPES[PTYPES.index(text)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of policy in the standard Casbin columns: ``p`` is a rule, ``g`` a grant; ``a`` is an action."""

    ptype: PType
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


def is_own_right(row: Row) -> bool:
    """Is it a right of one calling service by itself, as ``callers add`` gives it? The seed's are roles' and grants."""
    return row.ptype == "p" and row.values[0].startswith("service:")


def domain_of(physician: Physician) -> str:
    """Casbin's domain of a physician's account."""
    return f"physician:{physician}"


def grant_row(subject: str, role: Role, domain: str) -> Row:
    """The row that says: subject has role in domain."""
    return Row(ptype="g", values=(subject, subject_of_role(role), domain))


def rule_row(role: Role, domain: str, action: str, effect: Effect) -> Row:
    """The row that says: role may (not) do action in domain."""
    return Row(ptype="p", values=(subject_of_role(role), domain, action, effect))


class Misfit(StrEnum):
    """The part of a row that the grammar refuses."""

    ROW_TYPE = "row-type"
    FIELD_COUNT = "field-count"
    SUBJECT = "subject"
    DOMAIN = "domain"
    ACTION = "action"
    EFFECT = "effect"
    INFO = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFault:
    """What is wrong with a row: which part, in words, and the field it stands in (0 is the row type)."""

    misfit: Misfit
    field: int
    text: str

    def __str__(self) -> str:
        """The words."""
        return self.text


def row_fault(ptype: str, values: tuple[str, ...], *, or_own_right: bool = False) -> RowFault | None:
    """The first thing wrong with a row of policy, or None.

    The same rule guards every way into the store: seed files, demo data and
    the service's own writes. ``or_own_right``: where a caller's own right may come in.
    """
    return next(row_faults(ptype, values, or_own_right=or_own_right), None)


def row_faults(ptype: str, values: tuple[str, ...], *, or_own_right: bool = False) -> Iterator[RowFault]:
    """Everything wrong with a row; what hangs on a field that is wrong itself is not judged."""
    if ptype == "p":
        yield from _rule_faults(values, or_own_right=or_own_right)
    elif ptype == "g":
        yield from _grant_faults(values)
    elif ptype == "a":
        yield from _action_faults(values)
    else:
        yield RowFault(misfit=Misfit.ROW_TYPE, field=0, text=f"row type {ptype!r} is none of p, g and a")


def _rule_faults(values: tuple[str, ...], *, or_own_right: bool) -> Iterator[RowFault]:
    if len(values) != 4:
        text = f"a p row has 4 fields after the p (subject, domain, action, effect), this one has {len(values)}"
        yield RowFault(misfit=Misfit.FIELD_COUNT, field=min(len(values), 5), text=text)
        return
    subject, domain, action, effect = values
    if wrong := _domain_fault(domain):
        yield RowFault(misfit=Misfit.DOMAIN, field=2, text=wrong)
    # A built-in rule is a role's: a user named in the seed would be somebody in every account at once.
    kinds = ("role",) if domain in (ANY, SYSTEM_DOMAIN) else ("user", "role")
    if or_own_right and domain == SYSTEM_DOMAIN and subject.startswith("service:"):
        # It only ever allows, and what it names: a row that is missing takes away and never gives.
        kinds = ("service",)
        if effect == Effect.DENY:
            yield RowFault(misfit=Misfit.EFFECT, field=4, text="a caller's own right is an allow")
        if action == ANY:
            yield RowFault(misfit=Misfit.ACTION, field=3, text="a caller's own right names what it is to")
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


def _action_faults(values: tuple[str, ...]) -> Iterator[RowFault]:
    if len(values) != 4:
        text = f"an a row has 4 fields after the a (action, place and group, *, what it is), this one has {len(values)}"
        yield RowFault(misfit=Misfit.FIELD_COUNT, field=min(len(values), 4), text=text)
        return
    if values[2] != ANY:
        yield RowFault(misfit=Misfit.DOMAIN, field=3, text="an action is one in every account: its domain is *")
    for fault in info_faults(values):
        misfit = Misfit.ACTION if fault.field == 1 else Misfit.INFO
        yield RowFault(misfit=misfit, field=fault.field, text=fault.text)


_SUBJECTS: Final = {"user": USER, "role": ANY_ROLE, "service": SERVICE}


def _subject_fault(text: str, allowed: tuple[str, ...]) -> str | None:
    kind, _, name = text.partition(":")
    if kind in allowed and _SUBJECTS[kind].fullmatch(name):
        return None
    return f"{text!r} is not " + " or ".join(f"{kind}:NAME" for kind in allowed)


def _domain_fault(text: str) -> str | None:
    if text in (ANY, SYSTEM_DOMAIN):
        return None
    kind, _, name = text.partition(":")
    return None if kind == "physician" and PHYSICIAN.fullmatch(name) else f"{text!r} is not *, system or physician:NAME"


def _action_fault(text: str, domain: str) -> str | None:
    if domain == SYSTEM_DOMAIN:
        return None if text == ANY or RIGHT.fullmatch(text) else f"{text!r} is not * or Service/Method"
    if ACTION.fullmatch(text) or (text == ANY and domain == ANY):
        return None
    return f"{text!r} is not an action" + ("" if domain == ANY else " (and * is for built-in rules only)")
