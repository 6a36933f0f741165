"""Judges the callers' rights in a seed: roles of services, and roles included in roles."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from policy_service.policy_text.lines import Line
from policy_service.policy_text.lint.findings import Code, Finding, at, of_the_file
from policy_service.policy_text.lint.spelling import did_you_mean, near
from policy_service.vocabulary import ANY, MAX_ROLE_CHAIN, Effect, Row

_MENDING = "SeedService/ApplySeed"
_MOST_NAMED = 12
_MOST_COMPARED = 200
"""Unknown names that are compared with every known one."""


@dataclass(frozen=True, kw_only=True)
class Graph:
    """Who holds which role in domain system, and where it says so.

    Every question costs time in the number of grants, not in its square: a
    text that is sent to be judged may be hostile.
    """

    grants: Mapping[str, Mapping[str, Line]]
    order: tuple[str, ...]
    """Every name after the roles that it holds, circles left open."""
    circles: tuple[tuple[tuple[str, ...], Line], ...]
    """Each circle of roles, with the grant that closes it."""

    @classmethod
    def of(cls, rows: Iterable[tuple[Row, Line]]) -> "Graph":
        """The graph of these grants."""
        grants: dict[str, dict[str, Line]] = {}
        for row, line in rows:
            grants.setdefault(row.values[0], {})[row.values[1]] = line
        order, circles = _walked(grants)
        return cls(grants=grants, order=tuple(order), circles=tuple(circles))

    def reached(self, *names: str) -> set[str]:
        """These names and every role that they have, directly or through others."""
        waiting = list(names)
        found = set(waiting)
        while waiting:
            new = [role for role in self.grants.get(waiting.pop(), {}) if role not in found]
            found.update(new)
            waiting += new
        return found

    @cached_property
    def longest(self) -> Mapping[str, tuple[int, str]]:
        """For each name the longest chain of grants from it, and its first role. A circle is not followed."""
        below: dict[str, tuple[int, str]] = {}
        for name in self.order:
            # A role that closes a circle comes later in the order.
            held = ((below[role][0], role) for role in self.grants.get(name, {}) if role in below)
            first = max(held, default=None)
            below[name] = (first[0] + 1, first[1]) if first else (0, "")
        return below

    @cached_property
    def is_sound(self) -> bool:
        """Are there neither circles nor chains that are too long? Else more than that is not said about it."""
        return not self.circles and all(length <= MAX_ROLE_CHAIN for length, _ in self.longest.values())

    @cached_property
    def _places(self) -> Mapping[str, int]:
        return {name: place for place, name in enumerate(self.order)}

    @cached_property
    def _included(self) -> Sequence[int]:
        """For each name in order, a bit for every role that it has."""
        found: list[int] = []
        for name in self.order:
            roles = 0
            for role in self.grants.get(name, {}):
                place = self._places[role]
                roles |= found[place] | 1 << place
            found.append(roles)
        return found

    def included(self, name: str) -> set[str]:
        """Every role that a name has; none unless the graph is sound, as in a circle each would include each."""
        return self.reached(name) - {name} if self.is_sound else set()

    def held_twice(self, name: str) -> Iterator[tuple[str, str]]:
        """Roles that a name holds directly and through another role that it holds, which comes second."""
        held = self.grants[name]
        if len(held) < 2 or not self.is_sound:
            return
        direct = {1 << self._places[role]: role for role in held}
        every = sum(direct)
        for other in held:
            twice = self._included[self._places[other]] & every
            while twice:
                lowest = twice & -twice
                yield direct[lowest], other
                twice ^= lowest

    def leads_to(self, roles: set[str]) -> set[str]:
        """The names that have one of these roles or are one."""
        found = set(roles)
        for name in self.order:
            if not found.isdisjoint(self.grants.get(name, {})):
                found.add(name)
        return found


def judge_callers(
    rows: Mapping[Row, Line], graph: Graph, rules_of_users: Iterable[Row], *, unread: Sequence[Line]
) -> Iterator[Finding]:
    """All that is wrong with the rows of domain system, taken together."""
    rules = {row: line for row, line in rows.items() if row.ptype == "p"}
    yield from _circles_and_chains(graph)
    yield from _unknown_roles(rules, graph, {row.values[0] for row in rules_of_users}, unread)
    yield from _needless_grants(graph)
    for row, line in rules.items():
        if row.values[2] == ANY and row.values[3] == Effect.ALLOW:
            text = f"{row.values[0]} may call every method, those of later releases too"
            yield at(line, Code.EVERY_METHOD, text, "write a row for each method", field=3)
    if not unread:
        yield from _absences(rules, graph)


def _circles_and_chains(graph: Graph) -> Iterator[Finding]:
    for circle, line in graph.circles:
        text = f"roles include each other in a circle: {_shown(circle)}"
        yield at(line, Code.ROLE_CYCLE, text, "remove one of these grants", field=2)
    for name in graph.order:
        length, first = graph.longest[name]
        if length == MAX_ROLE_CHAIN + 1:
            chain = [name]
            while graph.longest[chain[-1]][0]:
                chain.append(graph.longest[chain[-1]][1])
            text = f"a chain of {MAX_ROLE_CHAIN + 1} grants: {_shown(chain)}"
            hint = f"Casbin follows at most {MAX_ROLE_CHAIN}: grant the last roles directly"
            yield at(graph.grants[name][first], Code.ROLE_CHAIN, text, hint, field=2)


def _unknown_roles(
    rules: Iterable[Row], graph: Graph, roles_of_users: set[str], unread: Sequence[Line]
) -> Iterator[Finding]:
    known = {row.values[0] for row in rules} | {name for name in graph.grants if name.startswith("role:")}
    compared, told = sorted(known), 0
    for held in graph.grants.values():
        for role, line in held.items():
            if role in known or any(role in each.text for each in unread):
                continue
            hint = f"give it a rule: p, {role}, system, Service/Method, allow"
            if role in roles_of_users:
                hint = f"its rules in domain * are for people in accounts; {hint}"
            elif told < _MOST_COMPARED and (meant := near(role, compared)):
                hint = did_you_mean(meant)
            told += 1
            yield at(line, Code.UNKNOWN_ROLE, f"{role} has no rule in domain system", hint, field=2)


def _needless_grants(graph: Graph) -> Iterator[Finding]:
    for name, held in graph.grants.items():
        for role, other in dict(graph.held_twice(name)).items():
            text = f"this row can never matter: {name} has {role} through {other} already"
            yield at(held[role], Code.SHADOWED_ROW, text, "remove this row")


def _absences(rules: Mapping[Row, Line], graph: Graph) -> Iterator[Finding]:
    services = [name for name in graph.grants if name.startswith("service:")]
    held = graph.reached(*services)
    told: set[str] = set()
    for row, line in rules.items():
        role = row.values[0]
        if role not in held and role not in told:
            told.add(role)
            hint = f"grant it: g, service:NAME, {role}, system"
            yield at(line, Code.UNHELD_ROLE, f"no service holds {role}", hint, field=1)
    mending = next((line for row, line in rules.items() if row.values[2].startswith("SeedService/")), None)
    if graph.is_sound and not _menders(rules, graph) & set(services):
        text = f"no service may call {_MENDING}, so none could mend this seed over gRPC"
        hint = f"allow {_MENDING} to a role that a service holds"
        yield at(mending, Code.NO_MENDER, text, hint) if mending else of_the_file(Code.NO_MENDER, text, hint)


def _menders(rules: Iterable[Row], graph: Graph) -> set[str]:
    """Everyone who is allowed to change the seed, and not denied it."""

    def told(effect: Effect) -> set[str]:
        return {row.values[0] for row in rules if row.values[2] in (_MENDING, ANY) and row.values[3] == effect}

    return graph.leads_to(told(Effect.ALLOW)) - graph.leads_to(told(Effect.DENY))


def _walked(grants: Mapping[str, Mapping[str, Line]]) -> tuple[list[str], list[tuple[tuple[str, ...], Line]]]:
    """Depth first, without recursion, as chains can be as long as the file."""
    order: list[str] = []
    circles: list[tuple[tuple[str, ...], Line]] = []
    seen: set[str] = set()
    for start in grants:
        if start in seen:
            continue
        seen.add(start)
        path: dict[str, Iterator[tuple[str, Line]]] = {start: iter(grants[start].items())}
        while path:
            here = next(reversed(path))
            role, line = next(path[here], ("", None))
            if line is None:
                del path[here]
                order.append(here)
            elif role in path:
                names = list(path)
                circles.append(((*names[names.index(role) :], role), line))
            elif role not in seen:
                seen.add(role)
                path[role] = iter(grants.get(role, {}).items())
    return order, circles


def _shown(names: Sequence[str]) -> str:
    if len(names) <= _MOST_NAMED:
        return " → ".join(names)
    return " → ".join((*names[: _MOST_NAMED // 2], "…", *names[-_MOST_NAMED // 2 :]))
