"""A contract for import-linter: a room is imported by its face.

What a package exports in ``__all__`` is its face, a module among it too; all
else inside is its own business. So a change inside a room touches nobody else.
"""

import ast
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from importlinter import Contract, ContractCheck, fields, output


class FacesContract(Contract):
    """Modules of one package of ``root`` import of its other packages only what these export."""

    type_name = "faces"
    root = fields.StringField()

    def check(self, graph, verbose):  # noqa: ARG002 - import-linter calls it so
        """Every import that goes past a face is a fault."""
        rooms = {name for name in graph.find_children(self.root) if graph.find_children(name)}
        inside = {module: room for room in rooms for module in graph.find_descendants(room)}
        past = [
            (importer, module)
            for module, room in inside.items()
            if module not in exported_modules(room)
            for importer in graph.find_modules_that_directly_import(module)
            if importer != room and inside.get(importer) != room
        ]
        lines = [
            (importer, module, detail["line_number"])
            for importer, module in past
            for detail in graph.get_import_details(importer=importer, imported=module)
        ]
        return ContractCheck(kept=not past, metadata={"past": sorted(lines)})

    def render_broken_contract(self, check):
        """Name each import with its line."""
        for importer, module, line in check.metadata["past"]:
            output.print_error(f"- {importer} (l.{line}) imports {module}, which is not exported by its package")


@cache
def exported_modules(room: str) -> frozenset[str]:
    """The modules of a package that it exports as such."""
    spec = find_spec(room)
    assert spec is not None
    assert spec.origin is not None
    for node in ast.parse(Path(spec.origin).read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return frozenset(f"{room}.{name}" for name in ast.literal_eval(node.value))
    return frozenset()
