"""Asks a policy what expectation files expect of it, and which rules they reach.

What an expectation does not allow, it expects to be denied: so a file catches
a role that gained something, not only one that lost it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from policy_service.decide import Basis, Model, Snapshot
from policy_service.policy_text import CallerQuestion, ExpectationFile, UserExpectation, UserQuestion
from policy_service.vocabulary import ANY, SYSTEM_DOMAIN, Reason, Row, is_naming, method_in


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One expected decision and the one that was found; ``line`` is the expectation's."""

    line: int
    why: str
    question: UserQuestion | CallerQuestion
    expected: bool
    found: bool
    reason: str

    @property
    def passed(self) -> bool:
        """Was it decided as expected?"""
        return self.expected == self.found


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """One file's results; ``revisions`` are those at which a running service answered."""

    file: str
    results: tuple[Result, ...]
    revisions: tuple[int, ...] = ()

    @property
    def failed(self) -> tuple[Result, ...]:
        """What was not as expected."""
        return tuple(result for result in self.results if not result.passed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All files' results on one seed, and the rows of the seed that decided none of them."""

    files: tuple[Tested, ...]
    unreached: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class _Answer:
    """A decision, and the rows that it rests on."""

    allowed: bool
    reason: Reason
    rows: tuple[Row, ...]


def run(model: Model, seed: Iterable[Row], files: Iterable[ExpectationFile]) -> Report:
    """Ask everything that the files expect, each in its own world on this seed.

    Raises BrokenPolicy for a file that expects what is no action of it.
    """
    basis = Basis(model, seed)
    reached: set[Row] = set()
    tested = []
    for file in files:
        file.refuse_unknown(basis.catalogue.actions)
        results = []
        for result, rows in _results(basis, file):
            results.append(result)
            reached.update(rows)
        tested.append(Tested(file=file.path.name, results=tuple(results)))
    return Report(files=tuple(tested), unreached=tuple(row for row in basis.rows if row not in reached))


def _results(basis: Basis, file: ExpectationFile) -> Iterator[tuple[Result, tuple[Row, ...]]]:
    snapshot = Snapshot.of_rows(basis, file.world)
    methods = _methods(basis, file)
    for line, expectation in file.expectations:
        asked: Iterator[tuple[UserQuestion | CallerQuestion, bool]] = (
            expectation.questions(basis.catalogue.actions)
            if isinstance(expectation, UserExpectation)
            else expectation.questions(methods)
        )
        for question, expected in asked:
            answer = (
                _ask_user(snapshot, question) if isinstance(question, UserQuestion) else _ask_caller(basis, question)
            )
            result = Result(
                line=line,
                why=expectation.why,
                question=question,
                expected=expected,
                found=answer.allowed,
                reason=answer.reason,
            )
            yield result, answer.rows


def _ask_user(snapshot: Snapshot, question: UserQuestion) -> _Answer:
    asked = question.user, question.physician, question.action, question.channel
    outcome = snapshot.check(*asked)
    told = tuple(row for row in snapshot.basis.rows if row.ptype == "a" and row.values[0] == question.action)
    if outcome.reason in (Reason.NOT_GRANTED, Reason.NOT_A_MEMBER, Reason.UNKNOWN_PHYSICIAN):
        return _Answer(outcome.allowed, outcome.reason, ())
    rule = snapshot.explain(*asked).rule
    if rule is None or rule.physician != ANY:  # An account's own rule: no row of the seed.
        return _Answer(outcome.allowed, outcome.reason, ())
    row = Row(ptype="p", values=(rule.subject, ANY, rule.action, rule.effect))
    # Of what an action is, somebody should be able to do it.
    return _Answer(outcome.allowed, outcome.reason, (row, *told) if outcome.allowed else (row,))


def _ask_caller(basis: Basis, question: CallerQuestion) -> _Answer:
    allowed = basis.caller_may(question.caller, question.method)
    grounds = basis.caller_grounds(question.caller, question.method)
    denied = Reason.DENIED_BY_RULE if grounds else Reason.NOT_GRANTED
    return _Answer(allowed, Reason.GRANTED if allowed else denied, grounds)


def _methods(basis: Basis, file: ExpectationFile) -> list[str]:
    """Every method that the seed or the file names, so that one which left the seed is asked about as well."""
    rights = [row.values[2] for row in basis.rows if row.ptype == "p" and row.domain == SYSTEM_DOMAIN]
    named = [method_in(right) for right in rights if not is_naming(right)]
    for _, expectation in file.expectations:
        if not isinstance(expectation, UserExpectation):
            named += expectation.allowed
    return [method for method in dict.fromkeys(named) if method != ANY]
