"""The callers' file: named contexts, each of which says where a service is and who asks it. TOML, of one user.

Refuses whole, with the line: what it does not know, a value of another kind, a token
that others may read.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from policy_client.environment import (
    CALLER_CERT_FILE,
    CALLER_KEY_FILE,
    CALLER_TIMEOUT_SECONDS,
    CALLER_TOKEN,
    CALLER_TOKEN_FILE,
    CONFIG,
    DECISION_ADDRESS,
    MANAGEMENT_ADDRESS,
    SERVER_CA_FILE,
    given,
)

KEYS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "decision_address": DECISION_ADDRESS,
        "management_address": MANAGEMENT_ADDRESS,
        "ca_file": SERVER_CA_FILE,
        "cert_file": CALLER_CERT_FILE,
        "key_file": CALLER_KEY_FILE,
        "token_file": CALLER_TOKEN_FILE,
        "token": CALLER_TOKEN,
        "timeout_seconds": CALLER_TIMEOUT_SECONDS,
    }
)
"""What a context may say, and the variable that says it where there is no context."""
NO_CONTEXT: Final = "none"
"""The name by which no context is meant, also where the file has a current one."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)
_TABLE: Final = "contexts"
_CURRENT: Final = "current"


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a context says, by the names of variables; files are whole paths."""

    name: str
    file: Path
    values: Mapping[str, str] = field(repr=False)

    def name_of(self, variable: str) -> str:
        """What errors call a value of it."""
        key = next(key for key, found in KEYS.items() if found == variable)
        return f"{key} of context {self.name} ({self.file})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole file."""

    file: Path
    current: str | None
    contexts: Mapping[str, Context]

    def named(self, name: str, by: str) -> Context | None:
        """That context, None for none at all. Raises ValueError, with ``by`` as who named it."""
        if name == NO_CONTEXT:
            return None
        if name not in self.contexts:
            known = ", ".join(sorted(self.contexts)) or "none"
            raise ValueError(f"{by} names the context {name!r}, which {self.file} does not have; it has: {known}")
        return self.contexts[name]


def config_file() -> Path:
    """Where it is: as POLICY_CONFIG says, else in the user's folder for such files."""
    if said := given(CONFIG):
        return Path(said).expanduser().absolute()
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "policy-service" / "config.toml"


def read_config() -> Config:
    """Read it; one that nobody made yet has no contexts. Raises ValueError, with file and line."""
    file = config_file()
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        if given(CONFIG):
            raise ValueError(f"{CONFIG} {file} is not there") from None
        return Config(file=file, current=None, contexts={})
    except OSError as fault:
        raise ValueError(f"{file} cannot be read: {fault.strerror}") from fault
    except UnicodeDecodeError:
        raise ValueError(f"{file} is not UTF-8 text") from None
    found = parse_config(text, file)
    _refuse_open(file, has_token=any(CALLER_TOKEN in one.values for one in found.contexts.values()))
    return found


def parse_config(text: str, file: Path) -> Config:
    """The contexts of a text. Raises ValueError, with the line."""
    try:
        read = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise ValueError(f"{file} is not TOML: {fault}") from None
    faults = _Faults(text, file)
    faults.refuse_unknown(read, (_CURRENT, _TABLE), "")
    current, tables = read.get(_CURRENT), read.get(_TABLE, {})
    if current is not None and not isinstance(current, str):
        raise faults.at("", _CURRENT, "must be a string, the name of a context")
    if not isinstance(tables, dict):
        raise faults.at("", _TABLE, f"must be tables, as [{_TABLE}.staging]")
    found = {name: _context(name, said, file, faults) for name, said in tables.items()}
    config = Config(file=file, current=current, contexts=found)
    if current is not None:
        config.named(current, f"{file}: {_CURRENT}")
    return config


def read_name(name: str) -> str:
    """A name that a context can have. Raises ValueError."""
    if not _NAME.fullmatch(name) or name == NO_CONTEXT:
        raise ValueError(
            f"{name!r} cannot be a context's name: 1 to 63 of A-Z a-z 0-9 . _ -, beginning with a letter or digit, "
            f"and not {NO_CONTEXT}"
        )
    return name


def _context(name: str, said: Any, file: Path, faults: "_Faults") -> Context:
    try:
        read_name(name)
    except ValueError as fault:
        raise ValueError(f"{file}: {fault}") from None
    if not isinstance(said, dict):
        raise faults.at(_TABLE, name, f"must be a table, as [{_TABLE}.{name}]")
    table = f"{_TABLE}.{name}"
    faults.refuse_unknown(said, tuple(KEYS), table)
    values = {}
    for key, value in said.items():
        if key == "timeout_seconds":
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise faults.at(table, key, "must be a number")
        elif not isinstance(value, str) or not value:
            raise faults.at(table, key, "must be a string that is not empty")
        values[KEYS[key]] = str(file.parent / Path(value).expanduser()) if key.endswith("_file") else str(value)
    if CALLER_TOKEN in values and CALLER_TOKEN_FILE in values:
        raise faults.at(table, "token", "stands beside token_file: give one of them")
    return Context(name=name, file=file, values=MappingProxyType(values))


class _Faults:
    """Finds the line of what is wrong, for a person who edits the file."""

    def __init__(self, text: str, file: Path) -> None:
        self._lines, self._file = text.splitlines(), file

    def refuse_unknown(self, said: Mapping[str, Any], known: tuple[str, ...], table: str) -> None:
        for key in said:
            if key not in known:
                raise self.at(table, key, f"is not known; known are {', '.join(known)}")

    def at(self, table: str, key: str, words: str) -> ValueError:
        line, name = self._line(table, key), f"{table}.{key}" if table else key
        return ValueError(f"{self._file}{f':{line}' if line else ''}: {name} {words}")

    def _line(self, table: str, key: str) -> int | None:
        """None for a key that is written in some unusual way."""
        inside, wanted = "", f"{table}.{key}".lstrip(".")
        for number, line in enumerate(self._lines, 1):
            if header := re.match(r"\s*\[([^\[\]]+)\]", line):
                inside = header[1].replace('"', "").replace(" ", "")
                if f"{inside}.".startswith(f"{wanted}."):
                    return number
            elif inside == table and re.match(rf"\s*\"?{re.escape(key)}\"?\s*=", line):
                return number
        return None


def _refuse_open(file: Path, *, has_token: bool) -> None:
    if os.name != "posix":
        return
    mode = file.stat().st_mode
    if has_token and mode & 0o077:
        raise ValueError(f"{file} holds a token and can be read by others than its owner: chmod 600 {file}")
    if mode & 0o002:
        raise ValueError(f"{file} can be written by everybody, who could send this caller anywhere: chmod 600 {file}")
