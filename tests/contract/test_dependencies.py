"""What is installed with us: nothing with known faults, nothing that a next major release could break."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECTS = ("pyproject.toml", "clients/python/pyproject.toml")


def requirements(project: str) -> list[Requirement]:
    told = tomllib.loads((ROOT / project).read_text())
    listed = [*told["build-system"]["requires"], *told["project"]["dependencies"]]
    for extra in told["project"].get("optional-dependencies", {}).values():
        listed += extra
    return [Requirement(text) for text in listed if not text.startswith("policy-service[")]


@pytest.mark.parametrize("project", PROJECTS)
def test_each_has_a_lower_and_an_upper_bound(project):
    for requirement in requirements(project):
        bounds = {bound.operator for bound in requirement.specifier}
        assert bounds == {"=="} or bounds == {">=", "<"}, requirement


@pytest.mark.parametrize(
    ("name", "faulty", "mended"), [("cryptography", "50.0.0", "50.0.1"), ("aiosmtplib", "5.1.0", "5.1.1")]
)
def test_no_version_with_known_faults_is_taken(name, faulty, mended):
    (requirement,) = [found for found in requirements(PROJECTS[0]) if found.name == name]
    assert faulty not in requirement.specifier
    assert mended in requirement.specifier
