"""The image: what is in it, who runs it, and how it is asked whether it lives."""

import asyncio
import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from policy_service.rpc import Readiness, metrics_http
from tests.support.deploying import DEPLOY, ROOT, port_of, ports_of

HERE = DEPLOY / "image"
BIN = Path(sys.executable).parent


def instructions() -> list[tuple[str, str]]:
    """Each instruction with its words, continued lines as one."""
    text = re.sub(r"(?m)^\s*#.*\n", "", (HERE / "Dockerfile").read_text()).replace("\\\n", " ")
    return [(word.upper(), re.sub(r"\s+", " ", rest)) for word, rest in re.findall(r"(?m)^([A-Z]+)\s+(.*)$", text)]


def last_stage() -> list[tuple[str, str]]:
    lines = instructions()
    return lines[max(at for at, (word, _) in enumerate(lines) if word == "FROM") :]


def locked(name: str) -> dict[str, tuple[Version, str]]:
    """Version and marker of each package."""
    text = (HERE / name).read_text().replace("\\\n", " ")
    found = re.findall(r"(?m)^([a-z0-9-]+)==([^\s;]+)(?: ; ([^\\]*?))?\s+--hash", text)
    return {package: (Version(version), marker or "") for package, version, marker in found}


def test_the_linter_finds_nothing():
    done = subprocess.run([BIN / "hadolint", "--strict-labels", HERE / "Dockerfile"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_nobody_in_it_is_root_and_every_base_has_its_version():
    (user,) = [rest for word, rest in last_stage() if word == "USER"]
    uid, gid = (int(part) for part in user.split(":"))
    assert uid > 0
    assert gid > 0
    assert last_stage()[-1][0] == "CMD"  # so nothing comes after USER that would be done as somebody else
    (base,) = [rest.partition("=")[2] for word, rest in instructions() if word == "ARG"]
    assert re.fullmatch(r"python:3\.\d+\.\d+-[a-z-]+", base)
    assert {rest.split()[0] for word, rest in instructions() if word == "FROM"} == {"${BASE}"}


def test_its_health_is_asked_where_the_service_says_whether_it_lives():
    composed = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    (exposed,) = [rest for word, rest in last_stage() if word == "EXPOSE"]
    assert {int(port) for port in exposed.split()} == ports_of(composed["policy-1"]["environment"])
    check = health_check()[-1]
    assert f"('127.0.0.1', {port_of('metrics_address')}, " in check
    assert '("/livez", _Probe' in Path(str(metrics_http.__file__)).read_text()


async def test_its_health_check_says_what_the_service_says():
    """The command itself, on another port: alive, and nobody there; whatever proxy the environment names."""
    environment = {**os.environ, "http_proxy": "http://127.0.0.1:9"}
    async with metrics_http.showing_metrics("127.0.0.1:0", Readiness()) as port:
        assert await status_of(port, environment) == 0
    assert await status_of(port, environment) != 0


async def status_of(port: int, environment: dict[str, str]) -> int:
    own = health_check()[-1].replace(str(port_of("metrics_address")), str(port))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", own, env=environment, stderr=asyncio.subprocess.DEVNULL
    )
    return await process.wait()


def health_check() -> list[str]:
    (check,) = [rest for word, rest in last_stage() if word == "HEALTHCHECK"]
    words: list[str] = json.loads(check[check.index("[") :])
    assert words[:2] == ["python", "-c"]
    return words


def test_it_starts_the_service_and_sets_nothing_that_opens_it():
    assert json.loads(dict(last_stage())["ENTRYPOINT"]) == ["policy-service"]
    assert json.loads(dict(last_stage())["CMD"]) == ["serve"]
    (environment,) = [rest for word, rest in last_stage() if word == "ENV"]
    assert re.findall(r"POLICY_\w+", environment) == ["POLICY_DATA_DIR"]


def test_all_that_is_copied_is_there_and_let_in():
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for word, rest in instructions():
        if word == "COPY" and not rest.startswith("--from"):
            for name in rest.split()[:-1]:
                assert (ROOT / name).exists(), name
                assert name in let_in or f"{Path(name).parent}/*{Path(name).suffix}" in let_in, name


def test_only_what_is_known_by_its_hash_is_installed():
    runs = " && ".join(rest for word, rest in instructions() if word == "RUN")
    installs = re.findall(r"pip (?:install|wheel) (.*?)(?:&&|$)", runs)
    assert len(installs) == 4
    for words in installs:
        assert "--require-hashes --only-binary :all:" in words or "--no-index --no-deps" in words, words
    for name in ("run.txt", "build.txt"):
        text = (HERE / name).read_text()
        assert not re.search(r"://|^-|@", text, flags=re.M), f"{name} names a place"
        assert text.count("==") >= len(locked(name))
        assert len(locked(name)) == len(re.findall(r"(?m)^[a-z]", text))


@pytest.mark.parametrize(
    ("name", "table", "extras"), [("run.txt", "project", ("otel",)), ("build.txt", "build-system", ())]
)
def test_what_is_locked_is_what_the_projects_ask_for(name, table, extras):
    """After a change of dependencies: make lock."""
    found = locked(name)
    waiting: list[Requirement] = []
    for project in ("pyproject.toml", "clients/python/pyproject.toml"):
        told = tomllib.loads((ROOT / project).read_text())
        listed = told["project"]["dependencies"] if table == "project" else told["build-system"]["requires"]
        waiting += map(Requirement, listed)
        for extra in extras:
            waiting += map(Requirement, told["project"].get("optional-dependencies", {}).get(extra, []))
    seen = set()
    while waiting:
        asked = waiting.pop()
        package = canonicalize_name(asked.name)
        if package == "policy-client" or (asked.marker and not asked.marker.evaluate({"extra": ""})):
            continue
        assert package in found, f"{asked} is not locked"
        assert asked.specifier.contains(found[package][0], prereleases=True), f"{asked}: {found[package][0]} is locked"
        if package not in seen:
            seen.add(package)
            waiting += needs_of(package, asked.extras)


def needs_of(package: str, extras: set[str]) -> list[Requirement]:
    """What it needs here, as far as it is installed here."""
    try:
        told = map(Requirement, requires(package) or [])
    except PackageNotFoundError:
        return []
    wanted = ["", *extras]
    return [one for one in told if not one.marker or any(one.marker.evaluate({"extra": extra}) for extra in wanted)]


def test_no_shell_is_in_the_way_of_a_signal():
    """A shell as the first process would take SIGTERM, and the service would be killed without a drain."""
    for word in ("ENTRYPOINT", "CMD"):
        assert dict(last_stage())[word].startswith("[")
