"""Every refusal that there is, whichever room declares it."""

import importlib
from collections.abc import Iterator

from policy_service.errors import PolicyError


def every_refusal() -> set[type[PolicyError]]:
    """The kinds of error that the service as a whole knows."""
    importlib.import_module("policy_service.app")
    return {kind for kind in _below(PolicyError) if kind.__module__.startswith("policy_service.")}


def _below(base: type[PolicyError]) -> Iterator[type[PolicyError]]:
    for kind in base.__subclasses__():
        yield kind
        yield from _below(kind)
