"""Edits the callers' file as its owner would: what stands there stays, comments too, and nobody else may read it.

The file is replaced whole, once it has been read back as the client will read it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tomlkit
from policy_client.contexts import config_file, parse_config, read_name
from tomlkit import TOMLDocument
from tomlkit.items import Table

from policy_service.cli.output import written


def add(name: str, said: Mapping[str, str | float], *, replace: bool) -> Path:
    """Add a context; with ``replace`` in place of one of that name. Raises ValueError."""
    read_name(name)
    with _editing() as document:
        contexts = _contexts(document)
        if name in contexts and not replace:
            raise ValueError(f"there is a context {name} already: --replace puts this one in its place")
        table = tomlkit.table()
        for key, value in said.items():
            table.add(key, value)
        contexts[name] = table
    return config_file()


def remove(name: str) -> bool:
    """Remove a context; was it the current one? Raises ValueError."""
    with _editing() as document:
        contexts = _contexts(document)
        if name not in contexts:
            raise ValueError(f"there is no context {name} in {config_file()}")
        del contexts[name]
        was_current = document.get("current") == name
        if was_current:
            del document["current"]
    return was_current


def use(name: str | None) -> None:
    """Make it the current one; None is no context. Raises ValueError."""
    with _editing() as document:
        if name is None:
            document.pop("current", None)
        elif name not in _contexts(document):
            raise ValueError(f"there is no context {name} in {config_file()}; 'contexts list' shows which there are")
        else:
            document["current"] = name


@contextmanager
def _editing() -> Iterator[TOMLDocument]:
    # A link, as whoever keeps such files elsewhere has it, stays one.
    file = config_file().resolve()
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    # In its own words, with the line, where it is not what it should be.
    parse_config(before, file)
    document = tomlkit.parse(before)
    yield document
    after = tomlkit.dumps(document)
    parse_config(after, file)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with written(file, private=True) as opened:
        opened.write(after)


def _contexts(document: TOMLDocument) -> Any:
    if "contexts" not in document:
        document["contexts"] = tomlkit.table(is_super_table=True)
    found: Table = document["contexts"]
    return found
