"""What expressions ask of Prometheus, and what the service's metrics have to say."""

from collections.abc import Iterator
from typing import Any

import promql_parser

from policy_service import metrics

OF_EVERY_TARGET = {"job", "instance"}
_PARTS = ("expr", "lhs", "rhs", "vector_selector", "param")


def selectors(expression: str) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """Each metric that is asked for, with its matchers. Raises ValueError for what is no PromQL."""
    yield from _walked(promql_parser.parse(expression))


def labels_used(expression: str) -> set[str]:
    """The labels by which sums are made."""
    found: set[str] = set()
    for part in _parts(promql_parser.parse(expression)):
        labels = getattr(getattr(part, "modifier", None), "labels", None)
        found |= set(labels or ())
    return found


def _walked(node: Any) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    for part in _parts(node):
        if isinstance(part, promql_parser.VectorSelector):
            yield (
                part.name,
                [(one.name, str(one.op).removeprefix("MatchOp."), one.value) for one in part.matchers.matchers],
            )


def _parts(node: Any) -> Iterator[Any]:
    yield node
    below = [getattr(node, name, None) for name in _PARTS] + list(getattr(node, "args", None) or [])
    for part in below:
        if isinstance(part, promql_parser.Expr | promql_parser.VectorSelector) or type(part).__name__.endswith(
            ("Expr", "Selector", "Call", "Literal")
        ):
            yield from _parts(part)


def told() -> dict[str, set[str]]:
    """Every sample's name with its labels, those without a value yet too."""
    found: dict[str, set[str]] = {}
    for collector, names in metrics.registry._collector_to_names.items():
        for name in names:
            found.setdefault(name, set()).update(getattr(collector, "_labelnames", ()))
    for family in metrics.registry.collect():
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def values(name: str, label: str) -> set[str]:
    """What a label says now."""
    return {
        sample.labels[label]
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == name and label in sample.labels
    }
