"""Judges the actions that a seed tells of: each once, each in a place of its own, and nothing left without a guard."""

from collections.abc import Iterator, Mapping, Sequence

from policy_service.policy_text.lines import Line
from policy_service.policy_text.lint.findings import Code, Finding, at, of_the_file
from policy_service.policy_text.lint.spelling import Words, action_hint, folded
from policy_service.vocabulary import (
    ANY,
    MOST_ACTIONS,
    ActionInfo,
    Catalogue,
    Channel,
    Effect,
    Operation,
    Row,
    info_of,
)

_NEW = "tell of each action by a row: a, ACTION, PLACE GROUP, *, TITLE | SENTENCE | MARKS"


def judge_actions(
    told: Mapping[Row, Line], rules: Mapping[Row, Line], words: Words, *, unread: Sequence[Line]
) -> Iterator[Finding]:
    """All that is wrong with the ``a`` rows as a whole, and with rules of all accounts in the light of them."""
    infos = [(info_of(row.values), line) for row, line in told.items()]
    known = Catalogue(info for info, _ in infos)
    if not infos and not any(folded(line.ptype) == "a" for line in unread if line.fields):
        yield of_the_file(Code.NO_ACTIONS, "the seed tells of no action, so nobody could do anything", _NEW)
        return
    yield from _repeated(infos)
    if len(infos) > MOST_ACTIONS:
        text = f"there are {len(infos):,} actions, of {MOST_ACTIONS} at most"
        yield at(infos[MOST_ACTIONS][1], Code.TOO_MANY_ACTIONS, text, "remove those that nobody uses")
    for info, line in infos:
        for other in (*info.needs, *([info.replaced_by] if info.replaced_by else [])):
            if other == info.action:
                yield at(line, Code.INFO, f"{info.action} names itself", "name another action, or none", field=4)
            elif other not in words.actions:
                yield at(line, Code.ACTION, f"{other!r} is not an action", action_hint(other, words), field=4)
    if not unread:
        yield from _unguarded(infos)
        if not known.gates_of(Channel.MOBILE):
            text = "no action opens the mobile app, so nobody can use it"
            yield of_the_file(Code.NO_CHANNEL, text, "mark the action that one must hold for it with opens=mobile")
    yield from _rules_about(known, rules)


def _repeated(infos: Sequence[tuple[ActionInfo, Line]]) -> Iterator[Finding]:
    actions: dict[str, Line] = {}
    places: dict[int, Line] = {}
    for info, line in infos:
        if earlier := actions.get(info.action):
            text = f"line {earlier.number} tells of {info.action} already"
            yield at(line, Code.DUPLICATE_ACTION, text, "remove one of the two", field=1)
        elif earlier := places.get(info.place):
            text = f"the action of line {earlier.number} has place {info.place}"
            yield at(line, Code.DUPLICATE_PLACE, text, "give it a number of its own", field=2)
        actions.setdefault(info.action, line)
        places.setdefault(info.place, line)


def _unguarded(infos: Sequence[tuple[ActionInfo, Line]]) -> Iterator[Finding]:
    guards: dict[Operation, Line] = {}
    for info, line in infos:
        for operation in sorted(info.guards):
            if earlier := guards.get(operation):
                text = f"the action of line {earlier.number} guards {operation} already"
                yield at(line, Code.GUARD, text, "what an operation asks for is one action", field=4)
            guards.setdefault(operation, line)
    if missing := [operation for operation in Operation if operation not in guards]:
        text = f"no action guards {', '.join(missing)}, so nobody could do it"
        yield of_the_file(Code.GUARD, text, f"mark the action that one must hold for it with guards={missing[0]}")


def _rules_about(known: Catalogue, rules: Mapping[Row, Line]) -> Iterator[Finding]:
    allowed: dict[str, set[str]] = {}
    for row in rules:
        subject, _, action, effect = row.values
        if effect == Effect.ALLOW:
            allowed.setdefault(subject, set()).add(action)
    for row, line in rules.items():
        subject, _, action, effect = row.values
        if action not in known:
            continue
        info = known[action]
        if info.deprecated:
            hint = f"allow {info.replaced_by} in its place" if info.replaced_by else "remove the row"
            yield at(line, Code.DEPRECATED, f"{action} is deprecated", hint, field=3)
        held = allowed.get(subject, set())
        lacking = [needed for needed in info.needs if needed not in held]
        if effect == Effect.ALLOW and ANY not in held and lacking:
            text = f"{subject} has {action}, which is of no use without {', '.join(lacking)}"
            yield at(line, Code.NEEDS, text, f"allow {lacking[0]} too", field=3)
