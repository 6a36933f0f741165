"""The service's own log has no room, or no reader: what it is there for goes on (ATTACKS 29)."""

import asyncio
import os
import re
import subprocess
import sys

import pytest

from policy_service.seed import install
from policy_service.store import SERVICE_ROLE, as_role
from tests.conftest import SHIPPED_MODEL
from tests.faults.writing import Door
from tests.support.processes import processes
from tests.support.rpc import question


@pytest.mark.parametrize("place", ["a full disk", "a pipe that nobody reads any more"])
async def test_29_a_service_whose_log_cannot_be_written_answers_all_the_same(store, database, seed, place):
    await install.install_first(store, seed, SHIPPED_MODEL)
    if place == "a full disk":
        log = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, log = os.pipe()
        os.close(reader)

    def serve() -> str:
        with processes(as_role(database, SERVICE_ROLE), POLICY_LOG_LEVEL="debug") as (service,):
            service.begin(log)
            service.wait_until("readyz", 200)
            door = Door([service.decision])
            assert not door("Check", question("mia", "dr-a", "claim:view")).allowed
            door.close()
            told = service.says("metrics")[1]
            service.stop()
            return told

    told = await asyncio.to_thread(serve)
    os.close(log)
    lost = re.search(r"^policy_log_lines_lost_total (\S+)$", told, re.MULTILINE)
    assert lost is not None
    assert float(lost[1]) > 0
    assert "policy_task_failures_total" not in re.sub("^#.*", "", told, flags=re.MULTILINE)


_CUT = """
import os, resource, signal, sys
from policy_service.cli.log_lines import LogLines

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
lines = LogLines(os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT))
most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (8, most))
lines.write("first\\n")
lines.write("second\\n")
lines.write("never\\n")
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
lines.write("third\\n")
"""


def test_29_a_line_that_was_cut_is_followed_by_a_line_of_its_own(tmp_path):
    path = tmp_path / "log"
    subprocess.run([sys.executable, "-c", _CUT, str(path)], check=True)
    assert path.read_text() == "first\nse\nthird\n"
