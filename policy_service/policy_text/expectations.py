"""Reads expectation files: who may do what, where, and why.

A file is read whole or refused whole, every fault with its line.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)

from policy_service.errors import InvalidRequest
from policy_service.policy_text.files import BrokenPolicy, Fault, read_file, read_rows
from policy_service.policy_text.marked_yaml import line_of, read_yaml
from policy_service.vocabulary import (
    ANY,
    SYSTEM_DOMAIN,
    Action,
    Channel,
    Physician,
    Row,
    User,
    parse_action,
    parse_method,
    parse_physician,
    parse_service,
    parse_user,
)

Name = TypeVar("Name")

_EVERY: Final = "\0"
"""Every action; nobody can write it."""
# In place of pydantic's, which name the classes here.
_WORDS: Final = {
    "model_type": "is not a mapping",
    "list_type": "is not a list",
    "string_type": "is not text",
    "string_unicode": "is not text",
    "extra_forbidden": "is not a key that may stand here",
    "missing": "is missing",
    "string_too_short": "is empty",
    "too_short": "is empty",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class UserQuestion:
    """May this user do this, there, having come in this way?"""

    user: User
    physician: Physician
    channel: Channel
    action: Action


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerQuestion:
    """May this calling service call this method?"""

    caller: str
    method: str


def _read_by(parse: Callable[[str, str], Name]) -> AfterValidator:
    """A name is what the vocabulary's own parser takes."""

    def read(text: str) -> Name:
        try:
            return parse(text, repr(text))
        except InvalidRequest as fault:
            raise ValueError(str(fault)) from fault

    return AfterValidator(read)


def _given(one: str | None, several: list[str]) -> list[str]:
    """The names, however they were given."""
    return [one] if one else several


def _unless_all(value: Any) -> Any:
    return [_EVERY] if value == ANY else value


def _parse_allowed(text: str, field: str) -> str:
    return text if text == _EVERY else parse_action(text, field)


_User = Annotated[str, _read_by(parse_user)]
_Physician = Annotated[str, _read_by(parse_physician)]
_Caller = Annotated[str, _read_by(parse_service)]
_Actions = Annotated[list[Annotated[str, _read_by(_parse_allowed)]], BeforeValidator(_unless_all)]
_Methods = list[Annotated[str, _read_by(parse_method)]]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class UserExpectation(_Strict):
    """What users may do in accounts; ``allowed`` is complete."""

    why: str = Field(min_length=1)
    user: _User | None = None
    users: list[_User] = []
    physician: _Physician | None = None
    physicians: list[_Physician] = []
    channels: Annotated[list[Channel], Field(min_length=1)] = [Channel.WEB]
    allowed: _Actions

    @model_validator(mode="after")
    def _names(self) -> "UserExpectation":
        if bool(self.user) == bool(self.users) or bool(self.physician) == bool(self.physicians):
            raise ValueError("give either user or users, and either physician or physicians")
        return self

    def questions(self, actions: Sequence[Action]) -> Iterator[tuple[UserQuestion, bool]]:
        """Every question that this answers, with its answer, where there are these actions."""
        every = _EVERY in self.allowed
        users, physicians = _given(self.user, self.users), _given(self.physician, self.physicians)
        for user, physician, channel, action in product(users, physicians, self.channels, actions):
            question = UserQuestion(user=User(user), physician=Physician(physician), channel=channel, action=action)
            yield question, every or action in self.allowed


class CallerExpectation(_Strict):
    """What calling services may call; ``allowed`` is complete."""

    why: str = Field(min_length=1)
    caller: _Caller | None = None
    callers: list[_Caller] = []
    allowed: _Methods

    @model_validator(mode="after")
    def _names(self) -> "CallerExpectation":
        if bool(self.caller) == bool(self.callers):
            raise ValueError("give either caller or callers")
        return self

    def questions(self, methods: Sequence[str]) -> Iterator[tuple[CallerQuestion, bool]]:
        """Every question that this answers, with its answer, where there are these methods."""
        asked = dict.fromkeys([*methods, *self.allowed])
        for caller, method in product(_given(self.caller, self.callers), asked):
            yield CallerQuestion(caller=caller, method=method), method in self.allowed


Expectation = UserExpectation | CallerExpectation


def _kind(value: Any) -> str:
    return "about a caller" if isinstance(value, dict) and {"caller", "callers"} & value.keys() else "about a user"


class _Document(_Strict):
    live: bool = False
    include: list[str] = []
    world: list[str] = []
    expect: Annotated[
        list[
            Annotated[
                Annotated[UserExpectation, Tag("about a user")] | Annotated[CallerExpectation, Tag("about a caller")],
                Discriminator(_kind),
            ]
        ],
        Field(min_length=1),
    ]

    @model_validator(mode="after")
    def _somewhere(self) -> "_Document":
        has_world = bool(self.include or self.world)
        if self.live and has_world:
            raise ValueError("a live file is about the service's own accounts: it has no world and includes nothing")
        if self.live and any(isinstance(expectation, CallerExpectation) for expectation in self.expect):
            raise ValueError("callers' rights are in the seed, not in accounts: put them into a file that is not live")
        if not self.live and not has_world and any(isinstance(each, UserExpectation) for each in self.expect):
            raise ValueError("without a world nobody is in it: give world or include, or say live: true")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectationFile:
    """One file: a world, and what is expected in it, each with its line."""

    path: Path
    live: bool
    world: tuple[Row, ...]
    expectations: tuple[tuple[int, Expectation], ...]

    def refuse_unknown(self, actions: Sequence[Action]) -> None:
        """Raise BrokenPolicy for whatever is to be allowed and is none of these actions."""
        faults = []
        for line, expectation in self.expectations:
            named = expectation.allowed if isinstance(expectation, UserExpectation) else ()
            for action in dict.fromkeys(named):
                if action not in (*actions, _EVERY):
                    like = get_close_matches(action, actions, n=1)
                    hint = f" (did you mean {like[0]!r}?)" if like else ""
                    faults.append(Fault(line=line, text=f"allowed: {action!r} names no known action{hint}"))
        if faults:
            raise BrokenPolicy(str(self.path), faults)


def read_expectations(path: Path) -> ExpectationFile:
    """Read a file; raises BrokenPolicy with every fault."""
    root, data = read_yaml(path)
    try:
        found = _Document.model_validate(data)
    except ValidationError as refused:
        raise BrokenPolicy(str(path), [_fault(root, error) for error in refused.errors()]) from refused
    lines = [line_of(root, ("expect", place)) for place in range(len(found.expect))]
    return ExpectationFile(
        path=path,
        live=found.live,
        world=_world(path, root, found),
        expectations=tuple(zip(lines, found.expect, strict=True)),
    )


def _world(path: Path, root: yaml.Node | None, found: _Document) -> tuple[Row, ...]:
    lines: dict[Row, int] = {}
    faults: list[Fault] = []
    for place, name in enumerate(found.include):
        lines |= dict.fromkeys(read_file(path.parent / name), line_of(root, ("include", place)))
    for place, text in enumerate(found.world):
        line = line_of(root, ("world", place))
        try:
            # Moved down to its own line, so that its faults name that.
            rows = read_rows("\n" * (line - 1) + text, str(path))
        except BrokenPolicy as broken:
            faults += broken.faults
            continue
        if len(rows) != 1:
            faults.append(Fault(line=line, text=f"world: one row is to stand here, not {len(rows)}"))
        faults += [Fault(line=line, text=f"the same row stands in line {lines[row]}") for row in rows if row in lines]
        lines |= dict.fromkeys(rows, line)
    faults += [
        Fault(line=line, text=f"a world has physicians' rows only, not those of domain {row.domain}")
        for row, line in lines.items()
        if row.domain in (ANY, SYSTEM_DOMAIN)
    ]
    if faults:
        raise BrokenPolicy(str(path), sorted(faults, key=lambda fault: fault.line))
    return tuple(lines)


def _fault(root: yaml.Node | None, error: Any) -> Fault:
    keys = [part for part in error["loc"] if isinstance(part, str) and not part.startswith("about a ")]
    words = _WORDS.get(error["type"], str(error["msg"]).removeprefix("Value error, "))
    return Fault(line=line_of(root, error["loc"]), text=": ".join([*keys[-1:], words]))
