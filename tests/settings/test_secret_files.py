"""Addresses with a password in them are read from files too; a wrong file stops the start, and nothing of it is told."""

import os

import pytest

from policy_service.errors import StartError
from policy_service.settings import read_settings

DATABASE = "postgresql://policy_service:s3cret@db-1:5432,db-2:5432/policy"
SMTP = "smtps://policy:s3cret@mail:465"
NAMES = {"POLICY_DATABASE_URL": DATABASE, "POLICY_SMTP_URL": SMTP}


@pytest.fixture(autouse=True)
def _clean(monkeypatch):
    for name in list(os.environ):
        if name.startswith("POLICY_"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
@pytest.mark.parametrize("name", NAMES)
def test_an_address_is_what_its_file_holds(monkeypatch, tmp_path, name, ending):
    file = tmp_path / "url"
    file.write_bytes(f"{NAMES[name]}{ending}".encode())
    monkeypatch.setenv(f"{name}_FILE", str(file))
    settings = read_settings()
    read = {"POLICY_DATABASE_URL": settings.database_url, "POLICY_SMTP_URL": settings.smtp_url}
    assert read[name].get_secret_value() == NAMES[name]
    assert "s3cret" not in repr(settings)
    assert "s3cret" not in settings.model_dump_json()


@pytest.mark.parametrize("name", NAMES)
def test_an_address_is_given_once(monkeypatch, tmp_path, name):
    file = tmp_path / "url"
    file.write_text(NAMES[name])
    monkeypatch.setenv(name, NAMES[name])
    monkeypatch.setenv(f"{name}_FILE", str(file))
    with pytest.raises(StartError, match=f"^{name} and {name}_FILE are both set") as refused:
        read_settings()
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (None, "No such file"),
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"postgresql://u:s3cret@db/policy\nsmtp://u:s3cret@mail\n", "one line"),
        (b"postgresql://u:s3cret@db/policy\x00", "plain text"),
        (b"\xff\xfes3cret", "plain text"),
        (b"s3cret" * 2_000, "4096"),
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_file_is_named_and_nothing_of_it_is_told(monkeypatch, tmp_path, name, content, word):
    file = tmp_path / "url"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv(f"{name}_FILE", str(file))
    with pytest.raises(StartError, match=word) as refused:
        read_settings()
    assert str(refused.value).startswith(f"{name}_FILE {file}")
    assert "s3cret" not in str(refused.value)
    # Not in a traceback either.
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


def test_a_folder_is_no_file(monkeypatch, tmp_path):
    monkeypatch.setenv("POLICY_DATABASE_URL_FILE", str(tmp_path))
    with pytest.raises(StartError, match="Is a directory"):
        read_settings()


def test_a_file_that_is_named_by_nothing_is_refused(monkeypatch):
    monkeypatch.setenv("POLICY_DATABASE_URL_FILE", "")
    with pytest.raises(StartError, match="POLICY_DATABASE_URL_FILE: empty"):
        read_settings()
