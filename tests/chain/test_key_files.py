"""A key is for the service's eyes: its own file for nobody else's, root's for those of a group that it is in."""

import os
import stat
from types import SimpleNamespace

import pytest

from policy_service.chain import key_files
from policy_service.chain.key_files import read_or_make
from policy_service.errors import StartError

SERVICE, ROOT, SOMEBODY = 65_532, 0, 1_000


@pytest.mark.parametrize(
    ("owner", "mode", "who", "is_closed"),
    [
        (SERVICE, 0o600, SERVICE, True),
        (SERVICE, 0o400, SERVICE, True),
        (SERVICE, 0o440, SERVICE, False),
        (SERVICE, 0o604, SERVICE, False),
        # As an orchestrator hands it in: root's, readable by the group that the process was given.
        (ROOT, 0o440, SERVICE, True),
        (ROOT, 0o640, SERVICE, True),
        (ROOT, 0o400, SERVICE, True),
        (ROOT, 0o460, SERVICE, False),
        (ROOT, 0o444, SERVICE, False),
        (ROOT, 0o644, SERVICE, False),
        (ROOT, 0o442, SERVICE, False),
        # Who is root itself has no need of a group.
        (ROOT, 0o600, ROOT, True),
        (ROOT, 0o440, ROOT, False),
        # Whoever it belongs to may read it and open it to others.
        (SOMEBODY, 0o440, SERVICE, False),
        (SOMEBODY, 0o600, ROOT, True),
    ],
)
def test_whose_eyes_a_file_is_for(monkeypatch, tmp_path, owner, mode, who, is_closed):
    file = tmp_path / "token.key"
    file.write_bytes(b"k" * 32)
    monkeypatch.setattr(os, "geteuid", lambda: who)
    found = SimpleNamespace(st_uid=owner, st_mode=stat.S_IFREG | mode)
    monkeypatch.setattr(key_files, "_state", lambda _: found)
    if is_closed:
        assert read_or_make(file, bytes, what="token key") == b"k" * 32
    else:
        with pytest.raises(StartError, match="can be read by others"):
            read_or_make(file, bytes, what="token key")


def test_a_key_that_is_made_is_for_nobody_else(tmp_path):
    file = tmp_path / "new" / "token.key"
    assert read_or_make(file, lambda: b"k" * 32, what="token key") == b"k" * 32
    assert file.stat().st_mode & 0o777 == 0o600
    file.chmod(0o640)
    with pytest.raises(StartError, match=f"run: chmod 600 {file}"):
        read_or_make(file, bytes, what="token key")


def test_a_file_that_is_nobodys_here_is_told_so(monkeypatch, tmp_path):
    """Root's file that everybody can read is not mended by a chmod to what the service then cannot read."""
    file = tmp_path / "token.key"
    file.write_bytes(b"k" * 32)
    monkeypatch.setattr(os, "geteuid", lambda: SERVICE)
    monkeypatch.setattr(key_files, "_state", lambda _: SimpleNamespace(st_uid=ROOT, st_mode=stat.S_IFREG | 0o444))
    with pytest.raises(StartError, match="mode 440 and a group that the service is in"):
        read_or_make(file, bytes, what="token key")
