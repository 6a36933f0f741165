"""An auditor at the real command, with the real process: what was changed and decided, who could do what."""

import asyncio
import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import asyncpg
from policy_client import AuditClient

from policy_service.store import embedded_postgres
from tests.acceptance.conftest import BIN, Service
from tests.acceptance.test_documents import blocks
from tests.support.patience import PATIENCE, until


def answer(service: Service, *words: str) -> list | dict:
    run = service.cli("audit", *words, "--json")
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def shown(review: dict) -> dict[str, set[str]]:
    return {one["user"]: {a["action"] for a in one["actions"] if a["shown"]} for one in review["access"]}


def test_an_auditors_day(service):
    with service.running():
        first = answer(service, "changes")[0]["revision"]
        before = answer(service, "review", "dr-osei")
        assert (
            service.cli("users", "edit", "dr-osei", "mia", "--role", "financial_viewer", "--as", "ama").returncode == 0
        )
        assert service.cli("users", "revoke", "dr-osei", "leo", "--yes", "--as", "ama").returncode == 0
        # Who changed it?
        (revoked,) = answer(service, "changes", "--user", "leo", "--actor", "ama", "--since", "1h")
        assert (revoked["kind"], revoked["physician"]) == ("access.revoke", "dr-osei")
        # Who could do what before, by revision and by time; and now?
        last = answer(service, "changes", "--physician", "dr-osei", "--limit", "1")[0]
        now = answer(service, "review", "dr-osei")
        for point in (str(first), answer(service, "changes")[-first]["at"]):
            then = answer(service, "review", "dr-osei", "--at", point)
            assert shown(then) == shown(before)
        assert "claim:submit" in shown(before)["leo"]
        assert "leo" not in shown(now)
        assert (now["revision"], now["hash"]) == (last["revision"], last["hash"])
        mia = next(one for one in now["access"] if one["user"] == "mia")
        assert [(role["role"], role["granted_by"]) for role in mia["roles"]] == [("financial_viewer", "ama")]
        # Everywhere she can act; whose access changed.
        assert [one["physician"] for one in answer(service, "review", "--user", "mia")["access"]] == [
            "dr-osei", "dr-silver", "dr-tran",
        ]  # fmt: skip
        changed = answer(service, "diff", "--from", str(first))["differences"]
        assert [(one["user"], "claim:save" in one["lost"]) for one in changed] == [("leo", True), ("mia", True)]
        # A change of everybody's rules is a change of this account's too.
        seed = service.data_dir / "edited.csv"
        seed.write_text(
            service.cli("seed", "export").stdout.replace("p, role:data_entry, *, claim:submit, allow\n", "")
        )
        ops = ("--as", "opal", "--reason", "Change 42", "--yes")
        assert service.cli("seed", "apply", str(seed), *ops).returncode == 0
        page = service.data_dir / "page.html"
        assert service.cli("audit", "review", "dr-osei", "--since", "1h", "--html", str(page)).returncode == 0
        text = page.read_text()
        for words in ("access revoked", "built-in policy changed", "Change 42", "demo accounts loaded"):
            assert words in text
        # Tables and sheets.
        for words in (
            ("changes",),
            ("decisions",),
            ("review", "dr-tran"),
            ("review", "--user", "vera"),
            ("diff", "--from", "1"),
        ):
            assert service.cli("audit", *words).returncode == 0
            assert list(csv.reader(io.StringIO(service.cli("audit", *words, "--csv").stdout)))
        # Whoever read has seen enough.
        reader, writer = os.pipe()
        os.close(reader)
        command = [BIN / "policy-service", "audit", "changes", "--json"]
        cut = subprocess.run(command, env=service.env, stdout=writer, stderr=subprocess.PIPE, timeout=PATIENCE)
        os.close(writer)
        assert (cut.returncode, cut.stderr) == (2, b"")
        unknown = service.cli("audit", "review", "dr-osei", "--at", "2020-01-01")
        assert (unknown.returncode, "No such revision" in unknown.stderr) == (2, True)


def test_the_documents_questions_are_answered(service):
    lines = [line for block in blocks("docs/audit.md", "sh") for line in block.splitlines()]
    questions = [line.split()[1:] for line in lines if line.startswith("policy-service audit")]
    assert {words[1] for words in questions} == {"changes", "decisions", "review", "diff", "verify"}
    with service.running():
        for words in questions:
            here = [
                str(service.data_dir / Path(word).name) if word.endswith((".html", ".jsonl", ".cursor")) else word
                for word in words
            ]
            run = service.cli(*here)
            assert (run.returncode, run.stderr) == (0, ""), words
    page = (service.data_dir / "review.html").read_text()
    assert "Dr. Osei" in page
    assert "<script" not in page


def test_a_log_that_was_altered_is_told_with_its_place(service):
    """From outside: the service's own database, edited while the service does not run."""
    with service.running():
        assert service.cli("users", "revoke", "dr-osei", "leo", "--yes", "--as", "ama").returncode == 0
        whole = json.loads(service.cli("audit", "verify", "--json").stdout)
        assert (whole["whole"], whole["entries"], whole["checkpoint"] != "") == (True, 3, True)
    kept = service.data_dir / "checkpoints.jsonl"
    met = service.cli("audit", "verify", "--direct", "--against", str(kept))
    assert (met.returncode, "checkpoints met: 1" in met.stdout) == (0, True), met.stderr
    asyncio.run(_alter(service))
    told = service.cli("audit", "verify", "--direct")
    assert told.returncode == 1
    assert "broken at revision 2: its hash is not that of its content" in told.stderr
    with service.running():
        run = service.cli("audit", "verify", "--json")
        assert (run.returncode, json.loads(run.stdout)["broken_revision"]) == (1, 2)
        assert json.loads(run.stdout)["checkpoint"] == ""


async def _alter(service: Service) -> None:
    async with embedded_postgres(service.data_dir) as dsn:
        connection = await asyncpg.connect(dsn)
        await connection.execute("SET session_replication_role = replica")
        await connection.execute("UPDATE changes SET actor = 'nobody' WHERE revision = 2")
        await connection.close()


def test_a_verification_that_cannot_be_made_says_why_in_a_line(service, tmp_path):
    wrong, forged = tmp_path / "wrong.csv", tmp_path / "forged.jsonl"
    wrong.write_text("p, role:owner, *, *, allow\n" * 300)
    with service.running():
        checkpoint = json.loads(service.cli("audit", "verify", "--json").stdout)["checkpoint"]
        forged.write_text(checkpoint.replace('"revision": 2', '"revision": 9'))
        run = service.cli("audit", "verify", "--against", str(wrong))
        assert (run.returncode, run.stdout) == (2, "")
        assert f"{wrong}:1: this is not a checkpoint" in run.stderr
    for file, words in ((wrong, "is not a checkpoint"), (forged, "a signature that is not of its content")):
        run = service.cli("audit", "verify", "--direct", "--against", str(file))
        assert (run.returncode, run.stdout, "Traceback" in run.stderr) == (2, "", False)
        assert f"{file}:1: this " in run.stderr
        assert words in run.stderr


def test_what_goes_to_the_database_itself_makes_none(service):
    for words in (
        ("audit", "verify", "--direct"),
        ("seed", "apply", "--direct", "--as", "opal", "--reason", "mended", "--yes"),
    ):
        run = service.cli(*words)
        assert (run.returncode, "There is no database in" in run.stderr) == (2, True)
        assert not (service.data_dir / "postgres").exists()


def test_a_decision_that_was_removed_is_missed(service):
    with service.running():
        for _ in range(3):
            assert service.cli("check", "mia", "dr-osei", "claim:view").returncode == 0
    assert service.cli("audit", "verify", "--direct").returncode == 0
    asyncio.run(_remove_a_decision(service))
    found = service.cli("audit", "verify", "--direct")
    assert (found.returncode, "lacks 1 decisions" in found.stderr) == (1, True)


async def _remove_a_decision(service: Service) -> None:
    async with embedded_postgres(service.data_dir) as dsn:
        connection = await asyncpg.connect(dsn)
        await connection.execute("SET session_replication_role = replica")
        await connection.execute("DELETE FROM decisions WHERE sequence = 2")
        await connection.close()


def test_the_chain_is_checked_by_what_the_document_says(service):
    """With nothing but Python's own library, and by the service itself."""
    (script,) = [block for block in blocks("docs/audit.md", "python") if "hashlib" in block]
    with service.running(), AuditClient(f"127.0.0.1:{service.ports['MANAGEMENT']}", timeout=PATIENCE) as auditor:
        service.cli("users", "invite", "dr-osei", "né@clinic.example", "nina", "--role", "data_entry", "--as", "ama")
        service.cli("users", "revoke", "dr-osei", "mia", "--yes", "--as", "ama")
        log = service.cli("audit", "changes", "--json", "--all").stdout
        said = []
        verdict = auditor.verify(progress=said.append)
        review = auditor.review_account("dr-osei")

    def check(text: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", script], input=text, capture_output=True, text=True)

    assert check(log).stdout == f"whole, up to {verdict.head_hash}\n"
    forged = check(log.replace("user:mia", "user:leo", 1))
    assert (forged.returncode, "broken at revision" in forged.stderr) == (1, True)
    assert (verdict.whole, verdict.fault) == (True, "")
    assert {json.loads(signed)["hash"] for signed in (verdict.checkpoint, review.checkpoint)} == {verdict.head_hash}


async def test_a_decision_is_found_by_the_id_that_was_answered(service):
    with service.running():
        run = service.cli("check", "mia", "dr-osei", "invoice:pay", "--json")
        decision = json.loads(run.stdout)
        # It is recorded at once, and in the database a moment later.
        found = await until(lambda: asyncio.to_thread(answer, service, "decisions", "--id", decision["decision_id"]))
        assert (found[0]["user"], found[0]["allowed"], found[0]["reason"]) == ("mia", False, "not granted")
        assert answer(service, "decisions", "--physician", "dr-osei", "--denied") == found
