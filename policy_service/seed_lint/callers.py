"""Judges the callers' rights in a seed: roles of services, and roles included in roles."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from policy_service.policy_lines import Line
from policy_service.seed_lint.findings import Code, Finding, at
from policy_service.seed_lint.spelling import did_you_mean, near
from policy_service.vocabulary import ANY, MAX_ROLE_CHAIN, SYSTEM_DOMAIN, Effect, Role, Row, name_in, rule_row

_MENDING = "SeedService/ApplySeed"
_MOST_NAMED = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Who holds which role in domain system, and where it says so."""

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

    def included(self, name: str) -> set[str]:
        """Every role that a name has; none while there are circles, in which each would include each."""
        return set() if self.circles else self.reached(name) - {name}


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
    below: dict[str, tuple[int, str]] = {}
    for name in graph.order:
        held = graph.grants.get(name, {})
        # A role that closes a circle comes later in the order, and is not followed.
        longest = max(((below[role][0], role) for role in held if role in below), default=None)
        below[name] = (longest[0] + 1, longest[1]) if longest else (0, "")
        if below[name][0] == MAX_ROLE_CHAIN + 1:
            chain = [name]
            while below[chain[-1]][0]:
                chain.append(below[chain[-1]][1])
            text = f"a chain of {MAX_ROLE_CHAIN + 1} grants: {_shown(chain)}"
            hint = f"Casbin follows at most {MAX_ROLE_CHAIN}: grant the last roles directly"
            yield at(held[chain[1]], Code.ROLE_CHAIN, text, hint, field=2)


def _unknown_roles(
    rules: Iterable[Row], graph: Graph, roles_of_users: set[str], unread: Sequence[Line]
) -> Iterator[Finding]:
    known = {row.values[0] for row in rules} | {name for name in graph.grants if name.startswith("role:")}
    compared = sorted(known)
    for held in graph.grants.values():
        for role, line in held.items():
            if role in known or any(role in each.text for each in unread):
                continue
            hint = f"give it a rule: p, {role}, system, Service/Method, allow"
            if role in roles_of_users:
                hint = f"its rules in domain * are for people in accounts; {hint}"
            elif meant := near(role, compared):
                hint = did_you_mean(meant)
            yield at(line, Code.UNKNOWN_ROLE, f"{role} has no rule in domain system", hint, field=2)


def _needless_grants(graph: Graph) -> Iterator[Finding]:
    for name, held in graph.grants.items():
        through = {role: other for other in held for role in graph.included(other) if role in held}
        for role, other in through.items():
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
    if mending and not any(_may_mend(rules, graph, service) for service in services):
        text = f"no service may call {_MENDING}, so none could mend this seed over gRPC"
        yield at(mending, Code.NO_MENDER, text, f"allow {_MENDING} to a role that a service holds")


def _may_mend(rules: Mapping[Row, Line], graph: Graph, service: str) -> bool:
    roles = [Role(name_in(role)) for role in graph.reached(service) - {service}]

    def says(effect: Effect) -> bool:
        return any(
            rule_row(role, SYSTEM_DOMAIN, method, effect) in rules for role in roles for method in (_MENDING, ANY)
        )

    return says(Effect.ALLOW) and not says(Effect.DENY)


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
