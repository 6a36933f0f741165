"""Writes what the image installs: each version and its hashes, for the service, its client and what builds them.

Run by ``make lock``. Holds no address: where packages come from is the builder's own setting.
"""

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
HERE = ROOT / "deploy/image"
PROJECTS = ("pyproject.toml", "clients/python/pyproject.toml")
OURS = "policy-client"
"""Built beside the service, so it is on no index."""
EXTRAS = ("otel",)


def needed() -> dict[str, list[str]]:
    """The requirements of each lock: what runs, and what builds."""
    told = [tomllib.loads((ROOT / project).read_text()) for project in PROJECTS]
    run = [text for one in told for text in one["project"]["dependencies"] if not text.startswith(OURS)]
    run += [text for extra in EXTRAS for text in told[0]["project"]["optional-dependencies"][extra]]
    return {"run.txt": run, "build.txt": [text for one in told for text in one["build-system"]["requires"]]}


def lock(requirements: list[str]) -> str:
    """Each with its version and hashes, for any platform on which the service's oldest Python runs."""
    command: list[Any] = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal"]
    command += ["--python-version", "3.11", "--generate-hashes", "--no-header", "--no-annotate"]
    command += ["--no-emit-index-url", "--no-emit-find-links", "-"]
    done = subprocess.run(command, input="\n".join(requirements), capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        sys.exit(done.stderr)
    return done.stdout


if __name__ == "__main__":
    for name, requirements in needed().items():
        (HERE / name).write_text(lock(requirements))
