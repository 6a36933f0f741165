"""Judges the rows of a seed as a whole: what is missing, what rests on nothing, what never matters."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from policy_service.policy_text.lines import Line
from policy_service.policy_text.lint.actions import judge_actions
from policy_service.policy_text.lint.callers import Graph, judge_callers
from policy_service.policy_text.lint.findings import Code, Finding, at, of_the_file
from policy_service.policy_text.lint.spelling import Words, did_you_mean, folded, near
from policy_service.vocabulary import (
    ANY,
    BUILT_IN_ROLES,
    OWNER,
    SYSTEM_DOMAIN,
    Catalogue,
    Effect,
    Role,
    Row,
    info_of,
    name_in,
    rule_row,
    subject_of_role,
)

# In names of about ten letters: one letter of difference, seldom two.
_NEARLY_THE_SAME = 0.9
_OWNER_SUBJECT = subject_of_role(OWNER)


def judge_whole(rows: Mapping[Row, Line], words: Words, *, unread: Sequence[Line]) -> Iterator[Finding]:
    """All that shows only when the rows are seen together.

    What is missed may stand in a line that could not be read. So an error of
    absence is told only if no such line names what is missing, and a warning
    of absence only if every line was read.
    """
    rules = {row: line for row, line in rows.items() if row.ptype == "p" and row.domain == ANY}
    system = {row: line for row, line in rows.items() if row.domain == SYSTEM_DOMAIN}
    graph = Graph.of(row_line for row_line in system.items() if row_line[0].ptype == "g")
    told = {row: line for row, line in rows.items() if row.ptype == "a"}
    infos = Catalogue(info_of(row.values) for row in told)
    yield from judge_actions(told, rules, words, unread=unread)
    yield from _judge_rights(rules, infos)
    yield from _judge_owner(rules, unread)
    yield from _judge_names(rules)
    yield from judge_callers(system, graph, rules, unread=unread)
    yield from _shadowed(rules, Graph.of(()))
    yield from _shadowed({row: line for row, line in system.items() if row.ptype == "p"}, graph)
    if not unread:
        yield from _judge_absences(rules, infos)


def _judge_rights(rules: Mapping[Row, Line], infos: Catalogue) -> Iterator[Finding]:
    for row, line in rules.items():
        subject, _, action, effect = row.values
        if subject == _OWNER_SUBJECT:
            if effect == Effect.DENY:
                text = f"this takes {'everything' if action == ANY else action} from the owners of all accounts"
                hint = "the account is the owner's: remove the row"
                yield at(line, Code.OWNER_DENIED, text, hint)
        elif action == ANY:
            meant = near(subject, [_OWNER_SUBJECT])
            hint = did_you_mean(meant) if meant else "write a row for each action"
            yield at(line, Code.WILDCARD, f"the action * is for the owner's rule, not {subject}'s", hint, field=3)
        elif action in infos and infos[action].owner_only and effect == Effect.ALLOW:
            text = f"{subject} can be given to invited users, who may never hold {action}"
            yield at(line, Code.OWNER_ONLY, text, f"remove the row: {action} is the owner's alone", field=3)


def _judge_owner(rules: Mapping[Row, Line], unread: Iterable[Line]) -> Iterator[Finding]:
    if rule_row(OWNER, ANY, ANY, Effect.ALLOW) in rules or any(_OWNER_SUBJECT in line.text for line in unread):
        return
    text, hint = "the owner's rule is missing: p, role:owner, *, *, allow", "add it"
    owners = next((line for row, line in rules.items() if row.values[0] == _OWNER_SUBJECT), None)
    yield at(owners, Code.OWNER_RULE, text, hint) if owners else of_the_file(Code.OWNER_RULE, text, hint)


def _judge_absences(rules: Mapping[Row, Line], infos: Catalogue) -> Iterator[Finding]:
    named = {row.values[0] for row in rules}
    for role in BUILT_IN_ROLES[1:]:
        if subject_of_role(role) not in named:
            hint = "people who hold it can do nothing; give it rules"
            yield of_the_file(Code.EMPTY_ROLE, f"built-in role {role} has no rule", hint)
    owners = rules.get(rule_row(OWNER, ANY, ANY, Effect.ALLOW))
    held = set(_held_by_others(rules))
    if owners and (
        alone := [
            info.action for info in infos if info.action not in held and not info.owner_only and not info.deprecated
        ]
    ):
        text = f"nobody but the owner holds {', '.join(alone)}"
        yield at(owners, Code.OWNER_ALONE, text, "give it to a built-in role, if invited users are to have it")


def _judge_names(rules: Mapping[Row, Line]) -> Iterator[Finding]:
    first: dict[str, Line] = {}
    for row, line in rules.items():
        first.setdefault(row.values[0], line)
    for subject, line in first.items():
        if similar := _built_in_like(Role(name_in(subject))):
            hint = f"if {similar} is meant, mend it; else choose a name that nobody takes for it"
            yield at(line, Code.SIMILAR_ROLE, f"{subject} is another role than role:{similar}", hint, field=1)


def _built_in_like(role: Role) -> Role | None:
    if role in BUILT_IN_ROLES:
        return None
    similar = near(role, BUILT_IN_ROLES, close=_NEARLY_THE_SAME)
    squeezed = {folded(known).replace("_", ""): known for known in BUILT_IN_ROLES}
    return Role(similar) if similar else squeezed.get(folded(role).replace("_", ""))


def _held_by_others(rules: Mapping[Row, Line]) -> Iterator[str]:
    for subject, _, action, effect in (row.values for row in rules):
        denied = any(Row(ptype="p", values=(subject, ANY, each, "deny")) in rules for each in (action, ANY))
        if subject != _OWNER_SUBJECT and effect == Effect.ALLOW and not denied:
            yield action


def _shadowed(rules: Mapping[Row, Line], graph: Graph) -> Iterator[Finding]:
    """Rules that another one of the same role, or of a role included in it, decides already."""
    saying: dict[tuple[str, str], dict[str, Line]] = {}
    by_subject: dict[str, list[Row]] = {}
    for row, line in rules.items():
        subject, _, action, effect = row.values
        saying.setdefault((action, effect), {})[subject] = line
        by_subject.setdefault(subject, []).append(row)
    for subject, own in by_subject.items():
        deciders = {subject, *graph.included(subject)}
        for row in own:
            if decided := _decided(row, deciders, saying):
                effect, number = decided
                text = f"this row can never matter: line {number} {effect} it already"
                why = ", and a deny always wins" if effect == "denies" and row.values[3] == Effect.ALLOW else ""
                hint = f"remove this row, or line {number} if it says too much"
                yield at(rules[row], Code.SHADOWED_ROW, text + why, hint)


def _decided(
    row: Row, deciders: set[str], saying: Mapping[tuple[str, str], Mapping[str, Line]]
) -> tuple[str, int] | None:
    """What another rule does to the same, and its line. A deny is decided by denies alone."""
    subject, _, action, effect = row.values
    for decisive in (Effect.DENY, Effect.ALLOW) if effect == Effect.ALLOW else (Effect.DENY,):
        for wide in dict.fromkeys((action, ANY)):
            # The same role and action are a duplicate or a contradiction, which are told as such.
            others = saying.get((wide, decisive), {})
            found = [others[other].number for other in others.keys() & deciders if (other, wide) != (subject, action)]
            if found:
                return "allows" if decisive is Effect.ALLOW else "denies", min(found)
    return None
