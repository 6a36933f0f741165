"""The client's README names every method and every error, as they are."""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import policy_client
import pytest
from policy_client import AuditClient, ManageUsersClient, PolicyClient, PolicyError, SeedClient

README = Path(__file__).parents[2] / "clients/python/README.md"
SECTIONS = {"Ask": PolicyClient, "Manage users": ManageUsersClient, "Audit": AuditClient, "Seeds": SeedClient}


def table(section: str) -> list[str]:
    """What stands as code in the first column of the section's table."""
    text = re.search(rf"^## {section}\n(.*?)(?=^## |\Z)", README.read_text(), re.M | re.S)
    assert text, section
    rows = re.findall(r"^\| (`.*?) \|", text[1], re.M)
    return [code for row in rows for code in re.findall(r"`([^`]+)`", row)]


def as_called(client: type) -> Iterator[str]:
    for name, method in vars(client).items():
        if inspect.isfunction(method) and not name.startswith("_"):
            wanted = [one for one in inspect.signature(method).parameters.values() if one.default is one.empty][1:]
            yield f"{name}({', '.join(f'{one.name}=' if one.kind is one.KEYWORD_ONLY else one.name for one in wanted)})"


def errors(kind: type) -> Iterator[str]:
    for one in kind.__subclasses__():
        yield one.__name__
        yield from errors(one)


def test_every_client_has_its_table():
    named = {name for name in policy_client.__all__ if re.fullmatch(r"(?!Async)\w+Client", name)}
    assert {client.__name__ for client in SECTIONS.values()} == named


@pytest.mark.parametrize(("section", "client"), SECTIONS.items())
def test_the_tables_of_methods_are_the_clients(section, client):
    assert sorted(table(section)) == sorted(as_called(client))


def test_the_table_of_errors_is_whole():
    assert sorted(table("Errors")) == sorted(errors(PolicyError))


def test_what_the_readme_imports_is_there():
    named = set(re.findall(r"\b(?:Async)?[A-Z]\w+Client\b", README.read_text()))
    assert named <= {*policy_client.__all__}
