"""What deploy/ says of the service, in values: held by tests against the settings and the ports that there are."""

import atexit
import os
import re
import runpy
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from unittest.mock import patch

import yaml

from policy_service.settings import PREFIX, Settings, read_settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
OF_FILES = {name for name in Settings.model_fields if name.endswith("_file")}


def port_of(setting: str) -> int:
    """The port that a setting has unless it is set."""
    return int(str(Settings.model_fields[setting].default).rpartition(":")[2])


def ports_of(environment: Mapping[str, str]) -> set[int]:
    """The ports on which a service with these settings listens; every address that it could have is said."""
    fields = Settings.model_fields.items()
    addresses = {
        f"{PREFIX}{name.upper()}" for name, field in fields if name.endswith("_address") and field.annotation is str
    }
    assert addresses <= environment.keys()
    return {int(environment[name].rpartition(":")[2]) for name in addresses}


def make_secrets(folder: Path, hosts: list[str]) -> None:
    """What a try-out makes of secrets, by its own script."""
    runpy.run_path(str(DEPLOY / "compose/make_secrets.py"))["make"](folder, hosts)


@cache
def secrets() -> Path:
    """Those that the composition's first step makes, for this process; to be looked at only."""
    folder = Path(tempfile.mkdtemp(prefix="policy-"))
    atexit.register(shutil.rmtree, folder)
    command = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["secrets"]["command"]
    make_secrets(folder, [word for word in command if not word.startswith(("-", "/"))])
    return folder


def settings_of(environment: Mapping[str, str], elsewhere: Mapping[str, Path]) -> Settings:
    """Read an environment as the service would, with what stands under a mount's path in a folder instead."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    told = {name: moved(value, elsewhere) for name, value in environment.items()}
    with patch.dict(os.environ, {**mine, **told}, clear=True):
        return read_settings()


def moved(value: str, elsewhere: Mapping[str, Path]) -> str:
    """The path in the folder that stands for its mount; every other value as it is."""
    for mount, folder in elsewhere.items():
        if value == mount or value.startswith(f"{mount}/"):
            return f"{folder}{value.removeprefix(mount)}"
    return value


def files_of(environment: Mapping[str, str]) -> dict[str, Path]:
    """The files that settings name."""
    return {
        name: Path(value)
        for name, value in environment.items()
        if name.removeprefix(PREFIX).lower() in OF_FILES and value != "-"
    }


def addresses_in(text: str) -> Iterator[str]:
    """The hosts of all URLs."""
    yield from re.findall(r"[a-z][a-z+]*://(?:[^\s/@'\"]*@)?([A-Za-z0-9.-]+)", text)
