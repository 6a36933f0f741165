"""Expectation files: decisions that a policy must give, as data.

Each file builds a small world on top of the seed and says who may do what in
it. What an expectation does not allow, it expects to be denied: so a file
catches a role that gained something, not only one that lost it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from policy_service.engine import Account, Basis
from policy_service.model import Model
from policy_service.policy_files import BrokenPolicy, Fault, read_file, read_rows
from policy_service.snapshot import Snapshot
from policy_service.vocabulary import ACTIONS, ANY, Action, Channel, Held, Physician, Reason, Row, User, name_in


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Expectation(_Strict):
    """Who may do what, where, and why; ``allowed`` is complete."""

    why: str = Field(min_length=1)
    user: str | None = None
    users: list[str] = []
    physician: str | None = None
    physicians: list[str] = []
    channels: list[Channel] = [Channel.WEB]
    allowed: Literal["*"] | list[Action]

    @model_validator(mode="after")
    def _names(self) -> "Expectation":
        if bool(self.user) == bool(self.users) or bool(self.physician) == bool(self.physicians):
            raise ValueError("give either user or users, and either physician or physicians")
        return self

    def questions(self) -> Iterator[tuple[str, str, Channel, Action]]:
        """Every question that this expectation answers."""
        for user in self.users or [str(self.user)]:
            for physician in self.physicians or [str(self.physician)]:
                for channel in self.channels:
                    for action in Action:
                        yield user, physician, channel, action


class ExpectationFile(_Strict):
    """One file: a world, and what is expected in it."""

    include: list[str] = []
    world: list[str] = []
    expect: Annotated[list[Expectation], Field(min_length=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One expected decision and the one that the policy gives."""

    file: str
    why: str
    user: str
    physician: str
    channel: Channel
    action: Action
    expected: bool
    found: bool
    reason: Reason

    @property
    def passed(self) -> bool:
        """Did the policy decide as expected?"""
        return self.expected == self.found


def run(model: Model, seed: Iterable[Row], files: Iterable[Path]) -> Iterator[Result]:
    """Ask everything that the files expect. Raises BrokenPolicy for a file that cannot be read."""
    rows = tuple(seed)
    for path in files:
        expectations, world = _read(path)
        snapshot = _snapshot(model, rows, world)
        for expectation in expectations.expect:
            allowed = ACTIONS.values() if expectation.allowed == ANY else expectation.allowed
            for user, physician, channel, action in expectation.questions():
                outcome = snapshot.check(User(user), Physician(physician), action, channel)
                yield Result(
                    file=path.name,
                    why=expectation.why,
                    user=user,
                    physician=physician,
                    channel=channel,
                    action=action,
                    expected=action in allowed,
                    found=outcome.allowed,
                    reason=outcome.reason,
                )


def _read(path: Path) -> tuple[ExpectationFile, list[Row]]:
    try:
        found = ExpectationFile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as fault:
        raise BrokenPolicy(str(path), [Fault(line=1, text=f"cannot be read: {fault}")]) from fault
    except yaml.MarkedYAMLError as fault:
        line = fault.problem_mark.line + 1 if fault.problem_mark else 1
        raise BrokenPolicy(str(path), [Fault(line=line, text=f"is not YAML: {fault.problem}")]) from fault
    except ValidationError as fault:
        faults = [
            Fault(line=1, text=f"{'.'.join(str(part) for part in error['loc'])}: {error['msg']}")
            for error in fault.errors()
        ]
        raise BrokenPolicy(str(path), faults) from fault
    rows = [row for name in found.include for row in read_file(path.parent / name)]
    return found, rows + list(read_rows("\n".join(found.world), f"{path} world"))


def _snapshot(model: Model, seed: tuple[Row, ...], world: list[Row]) -> Snapshot:
    basis = Basis(model, seed)
    by_domain = groupby(sorted(world, key=lambda row: row.domain), key=lambda row: row.domain)
    return Snapshot.of(
        Held(revision=0),
        basis,
        [Account.of_rows(basis, Physician(name_in(domain)), rows) for domain, rows in by_domain],
    )
