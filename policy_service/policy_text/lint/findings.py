"""What can be found in a seed: codes with their level and meaning, and one finding."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from policy_service.policy_text.lines import Line
from policy_service.vocabulary import Misfit, Row


class Level(StrEnum):
    """How bad it is: an error must not reach the store."""

    ERROR = "error"
    WARNING = "warning"


class Code(StrEnum):
    """A kind of finding. The words are stable: people filter by them."""

    NOT_UTF8 = "not-utf8"
    BYTE_ORDER_MARK = "byte-order-mark"
    HIDDEN_CHARACTER = "hidden-character"
    LINE_TOO_LONG = "line-too-long"
    TOO_LARGE = "too-large"
    TOO_MANY = "too-many"
    SEPARATOR = "separator"
    QUOTES = "quotes"
    FIELD_ORDER = "field-order"
    TRAILING_COMMENT = "trailing-comment"
    ROW_TYPE = Misfit.ROW_TYPE.value
    FIELD_COUNT = Misfit.FIELD_COUNT.value
    SUBJECT = Misfit.SUBJECT.value
    DOMAIN = Misfit.DOMAIN.value
    ACTION = Misfit.ACTION.value
    EFFECT = Misfit.EFFECT.value
    INFO = Misfit.INFO.value
    METHOD = "method"
    PATTERN = "pattern"
    PHYSICIAN_ROW = "physician-row"
    OWN_ROLE = "own-role"
    DUPLICATE_ROW = "duplicate-row"
    CONTRADICTION = "contradiction"
    WILDCARD = "wildcard"
    OWNER_ONLY = "owner-only"
    OWNER_RULE = "owner-rule"
    OWNER_DENIED = "owner-denied"
    UNKNOWN_ROLE = "unknown-role"
    ROLE_CYCLE = "role-cycle"
    ROLE_CHAIN = "role-chain"
    SHADOWED_ROW = "shadowed-row"
    SIMILAR_ROLE = "similar-role"
    EMPTY_ROLE = "empty-role"
    OWNER_ALONE = "owner-alone"
    UNHELD_ROLE = "unheld-role"
    EVERY_METHOD = "every-method"
    NO_MENDER = "no-mender"
    DUPLICATE_ACTION = "duplicate-action"
    DUPLICATE_PLACE = "duplicate-place"
    TOO_MANY_ACTIONS = "too-many-actions"
    NO_ACTIONS = "no-actions"
    GUARD = "guard"
    NO_CHANNEL = "no-channel"
    DEPRECATED = "deprecated"
    NEEDS = "needs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What a code stands for, wherever it is found."""

    level: Level
    text: str


def _error(text: str) -> Meaning:
    return Meaning(level=Level.ERROR, text=text)


def _warning(text: str) -> Meaning:
    return Meaning(level=Level.WARNING, text=text)


CODES: Final[Mapping[Code, Meaning]] = {
    Code.NOT_UTF8: _error("A byte that is not UTF-8."),
    Code.BYTE_ORDER_MARK: _error("A byte order mark, which Casbin's own readers take for part of the first row."),
    Code.HIDDEN_CHARACTER: _error("A character that cannot be seen, or that hides or turns around what can."),
    Code.LINE_TOO_LONG: _error("A row longer than any row can be."),
    Code.TOO_LARGE: _error("A file larger than any seed."),
    Code.TOO_MANY: _error("So many findings that the rest of the file was not judged."),
    Code.SEPARATOR: _error("Fields that are not separated by commas."),
    Code.QUOTES: _error("Quotes around a field; there is no quoting."),
    Code.FIELD_ORDER: _error("The right fields in the wrong order."),
    Code.TRAILING_COMMENT: _error("A comment behind a row; a comment has a line of its own."),
    Code.ROW_TYPE: _error("A row type other than p, g and a."),
    Code.FIELD_COUNT: _error("Too many or too few fields."),
    Code.SUBJECT: _error("A name of the wrong kind or outside its grammar, where a role or service is meant."),
    Code.DOMAIN: _error("A domain other than * and system."),
    Code.ACTION: _error("An action that does not exist."),
    Code.EFFECT: _error("An effect other than allow and deny."),
    Code.INFO: _error("What an action is, told in a way that cannot be read or shown."),
    Code.METHOD: _error("A method that does not exist or is not Service/Method."),
    Code.PATTERN: _error("A wildcard, pattern or regular expression where a name is meant."),
    Code.PHYSICIAN_ROW: _error("A row of one physician's account, which the seed cannot hold."),
    Code.OWN_ROLE: _error("The role of one user alone (custom.USERNAME), which belongs to an account."),
    Code.DUPLICATE_ROW: _error("A row that stands in the file already."),
    Code.CONTRADICTION: _error("A row that says the opposite of another one."),
    Code.WILDCARD: _error("The action * in a rule of a role other than the owner."),
    Code.OWNER_ONLY: _error("An action that no invited user may hold, allowed to a role that they can have."),
    Code.OWNER_RULE: _error("The owner's rule, on which every account rests, is missing."),
    Code.OWNER_DENIED: _error("A rule that takes something from the owners of all accounts."),
    Code.UNKNOWN_ROLE: _error("A role that callers hold and that no row gives any right."),
    Code.ROLE_CYCLE: _error("Roles that include each other in a circle."),
    Code.ROLE_CHAIN: _error("A chain of roles longer than Casbin follows."),
    Code.SHADOWED_ROW: _warning("A row that can never matter, as another one decides already."),
    Code.SIMILAR_ROLE: _warning("A role whose name is easily taken for a built-in one's."),
    Code.EMPTY_ROLE: _warning("A built-in role without any rule."),
    Code.OWNER_ALONE: _warning("An action that nobody but the owner holds, though invited users may."),
    Code.UNHELD_ROLE: _warning("A role with rights of callers that no service holds."),
    Code.EVERY_METHOD: _warning("A role that may call every method, those of later releases too."),
    Code.NO_MENDER: _warning("No service may apply a seed, so none could mend this one over gRPC."),
    Code.DUPLICATE_ACTION: _error("An action that is told of already."),
    Code.DUPLICATE_PLACE: _error("A place in lists that another action has."),
    Code.TOO_MANY_ACTIONS: _error("More actions than there can be."),
    Code.NO_ACTIONS: _error("The seed tells of no action, so nobody could do anything."),
    Code.GUARD: _error("Something done to accounts that no action guards, or more than one."),
    Code.NO_CHANNEL: _warning("A channel that no action opens, so that nobody can use it."),
    Code.DEPRECATED: _warning("A rule about an action that is deprecated."),
    Code.NEEDS: _warning("A role that allows an action without what the action needs."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing found: where, what and how to mend it. Columns count characters from 1, the end excluded.

    Nothing in ``text`` and ``hint`` is raw: what comes from the file is quoted with escapes.
    """

    code: Code
    line: int
    column: int
    end_column: int
    text: str
    hint: str

    @property
    def level(self) -> Level:
        """The level of its code."""
        return CODES[self.code].level


@dataclass(frozen=True, slots=True, kw_only=True)
class Linted:
    """A seed that was judged: the rows that could be read, each with its line, and the findings in their order."""

    rows: tuple[Row, ...]
    lines: Mapping[Row, int]
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings for which a seed is refused."""
        return tuple(finding for finding in self.findings if finding.level is Level.ERROR)


def at(line: Line, code: Code, text: str, hint: str, *, field: int | None = None, last: int | None = None) -> Finding:
    """A finding at one field of a line, at the fields up to ``last``, or at all of its fields."""
    begin, end = (0, -1) if field is None else (field, field if last is None else last)
    column, end_column = line.fields[begin].column, line.fields[end].end_column
    return Finding(code=code, line=line.number, column=column, end_column=end_column, text=text, hint=hint)


def of_the_file(code: Code, text: str, hint: str) -> Finding:
    """What is missing in the whole."""
    return Finding(code=code, line=1, column=1, end_column=1, text=text, hint=hint)
