"""Names every method of the contract, for whoever must know which a caller can be given."""

import pkgutil
from functools import cache
from importlib import import_module

from policy_service import pb


@cache
def contract_methods() -> frozenset[str]:
    """Each ``Service/Method`` that ``proto/policy/v1`` defines."""
    files = [
        import_module(module.name).DESCRIPTOR
        for module in pkgutil.iter_modules(pb.__path__, f"{pb.__name__}.")
        if module.name.endswith("_pb2")
    ]
    return frozenset(
        f"{service.name}/{method.name}"
        for file in files
        for service in file.services_by_name.values()
        for method in service.methods
    )
