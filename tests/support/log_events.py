"""The loud events of the service's log, read from its code: what a line of level warning or error can be called."""

import ast
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "policy_service"
LOUD = {"warning", "error", "exception", "critical"}


def loud_events() -> dict[str, set[str]]:
    """Each event with the files that it comes from."""
    found: dict[str, set[str]] = {}
    for path in sorted(FOLDER.rglob("*.py")):
        for event in _events(ast.parse(path.read_text())):
            found.setdefault(event, set()).add(path.relative_to(FOLDER).as_posix())
    return found


def _events(tree: ast.Module) -> Iterator[str]:
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    for call in calls:
        if not (isinstance(call.func, ast.Attribute) and call.func.attr in LOUD and _is_log(call.func.value)):
            continue
        texts = list(_texts(call.args[0]))
        if not texts and isinstance(call.args[0], ast.Name):
            # It is handed over: what callers of functions with such an argument give.
            texts = list(_given(tree, calls, call.args[0].id))
        if not texts:
            raise AssertionError(f"no event in {ast.unparse(call)}")
        yield from texts


def _is_log(value: ast.expr) -> bool:
    name = value.func if isinstance(value, ast.Call) else value
    return ast.unparse(name) in {"log", "structlog.get_logger"}


def _texts(argument: ast.expr) -> Iterator[str]:
    match argument:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp(body=body, orelse=orelse):
            yield from _texts(body)
            yield from _texts(orelse)


def _given(tree: ast.Module, calls: list[ast.Call], argument: str) -> Iterator[str]:
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            names = [one.arg for one in function.args.args if one.arg != "self"]
            if argument in names:
                for call in calls:
                    if isinstance(call.func, ast.Attribute) and call.func.attr == function.name:
                        yield from _texts(call.args[names.index(argument)])
