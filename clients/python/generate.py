"""Writes the asyncio clients from the blocking ones, so that each call is written once.

``policy_client/services/*.py`` → ``policy_client/_asyncio/*.py``. The class becomes ``Async…`` on the asyncio driver,
its methods ``async def``, and what they call of themselves is awaited; what answers with an iterator answers with an
asynchronous one. Whatever else stands in a module is refused, rather than copied wrongly. ``--check`` writes nothing
and exits with 1 if a checked-in file differs from what would be written.
"""

import ast
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent / "policy_client"
SOURCES, TARGET = PACKAGE / "services", PACKAGE / "_asyncio"
DRIVERS = {
    "BlockingClient": ("policy_client.asynchronous", "AsyncioClient"),
    "BlockingChecks": ("policy_client.checks_async", "AsyncioChecks"),
}
"""What a client is built on, and what its twin is."""
MANY = ("_items", "_stream")
"""The driver's verbs that answer with an iterator; all others are awaited."""


class Unknown(Exception):
    """Something that this cannot rewrite."""

    def __init__(self, path: Path, node: ast.AST, words: str) -> None:
        """The place, and what is wrong there."""
        super().__init__(f"{path}:{getattr(node, 'lineno', 1)}: {words}")


class Rewriting:
    """One module: where its text changes, found in its syntax tree, so that all else stays as it was written."""

    def __init__(self, path: Path) -> None:
        """Reads it."""
        self.path = path
        self.text = path.read_text()
        lines = self.text.splitlines(keepends=True)
        self._starts = [sum(len(line.encode()) for line in lines[:number]) for number in range(len(lines))]
        self._edits: list[tuple[int, int, str]] = []

    def made(self) -> str:
        """The asyncio module."""
        tree = ast.parse(self.text)
        words, *statements = tree.body
        self._replace(words, f'"""Generated from services/{self.path.name} by generate.py; do not edit."""')
        for statement in statements:
            match statement:
                case ast.ImportFrom(names=[ast.alias(name=name)]) if name in DRIVERS:
                    module, twin = DRIVERS[name]
                    self._replace(statement, f"from {module} import {twin}")
                case ast.ImportFrom(module="collections.abc"):
                    self._replace(statement, ast.unparse(statement).replace("Iterator", "AsyncIterator"))
                case ast.ClassDef(bases=[ast.Name(id=name) as base]) if name in DRIVERS:
                    self._replace(base, DRIVERS[name][1])
                    self._insert(statement, "Async", after="class ")
                    for method in statement.body:
                        if isinstance(method, ast.FunctionDef):
                            self._method(method)
                case ast.ImportFrom() | ast.AnnAssign() | ast.Expr(value=ast.Constant()):
                    pass
                case _:
                    raise Unknown(self.path, statement, "a module has imports, constants and one client")
        return self._edited()

    def _method(self, method: ast.FunctionDef) -> None:
        if method.name.startswith("_") or method.decorator_list:
            raise Unknown(self.path, method, "a client has calls, and nothing that would not be awaited")
        match method.returns:
            case ast.Subscript(value=ast.Name(id="Iterator") as iterator):
                self._replace(iterator, "AsyncIterator")
                self._refuse_awaiting(method)
            case None:
                raise Unknown(self.path, method, "a method says what it answers")
            case _:
                self._insert(method, "async ")
                self._await(method)

    def _await(self, method: ast.FunctionDef) -> None:
        looped = set()
        for node in ast.walk(method):
            match node:
                case ast.For(iter=ast.Call() as call) if _verb(call) in MANY:
                    self._insert(node, "async ")
                    looped.add(call)
                case ast.comprehension(iter=ast.Call() as call) if _verb(call) in MANY:
                    raise Unknown(self.path, call, "a stream is read in a loop of its own")
        for node in ast.walk(method):
            if isinstance(node, ast.Call) and (verb := _verb(node)) and node not in looped:
                if verb in MANY:
                    raise Unknown(self.path, node, f"{verb} is read in a loop, or answered by a method of iterators")
                self._insert(node, "await ")

    def _refuse_awaiting(self, method: ast.FunctionDef) -> None:
        for node in ast.walk(method):
            if isinstance(node, ast.Yield | ast.YieldFrom) or (
                isinstance(node, ast.Call) and (_verb(node) or MANY[0]) not in MANY
            ):
                raise Unknown(self.path, node, f"a method of iterators returns one of {' or '.join(MANY)}")

    def _place(self, line: int, column: int) -> int:
        return self._starts[line - 1] + column

    def _insert(self, node: ast.stmt | ast.expr, words: str, *, after: str = "") -> None:
        place = self._place(node.lineno, node.col_offset) + len(after)
        self._edits.append((place, place, words))

    def _replace(self, node: ast.stmt | ast.expr, words: str) -> None:
        assert node.end_lineno is not None  # noqa: S101 - parsed text has it.
        assert node.end_col_offset is not None  # noqa: S101
        begin, end = self._place(node.lineno, node.col_offset), self._place(node.end_lineno, node.end_col_offset)
        self._edits.append((begin, end, words))

    def _edited(self) -> str:
        text = self.text.encode()
        for begin, end, words in sorted(self._edits, reverse=True):
            text = text[:begin] + words.encode() + text[end:]
        return text.decode()


def _verb(call: ast.Call) -> str | None:
    """The method of its own that a method calls."""
    match call.func:
        case ast.Attribute(value=ast.Name(id="self"), attr=name):
            return name
    return None


def _tidy(text: str, name: str) -> str:
    """As ruff orders and breaks it, like everything here."""
    for step in (["check", "--fix-only", "--select", "I"], ["format"]):
        command = [sys.executable, "-m", "ruff", *step, "--quiet", "--stdin-filename", str(TARGET / name), "-"]
        text = subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout  # noqa: S603
    return text


def generate() -> dict[str, str]:
    """File name → text."""
    made = {path.name: _tidy(Rewriting(path).made(), path.name) for path in sorted(SOURCES.glob("[!_]*.py"))}
    return {"__init__.py": '"""Generated by generate.py from services/; do not edit."""\n', **made}


def main() -> int:
    """Write, or with ``--check`` compare; the exit status."""
    TARGET.mkdir(exist_ok=True)
    generated, present = generate(), {path.name: path.read_text() for path in TARGET.glob("*.py")}
    if "--check" in sys.argv[1:]:
        if stale := sorted(name for name in {*generated, *present} if generated.get(name) != present.get(name)):
            print(f"{', '.join(stale)} in {TARGET} differ from services/: run 'make proto'", file=sys.stderr)
        return 1 if stale else 0
    for name in present.keys() - generated.keys():
        (TARGET / name).unlink()
    for name, text in generated.items():
        (TARGET / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
