"""The real command, in a process of its own, without half a second of loading for each.

One process loads it once and then forks: each copy gets its own arguments,
environment, folder and outputs, does what the command does, and ends with its
status. What loading does is for the tests that start the installed script
(tests/acceptance/test_service.py, tests/cli/test_start.py).
"""

import atexit
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import typer

from policy_service.cli.main import app
from tests.support.patience import PATIENCE

_LOADED = """
import json, os, signal, socket, sys, traceback
from policy_service.cli import main

def run(asked, out, err):
    for fd, own in ((os.open(os.devnull, os.O_RDONLY), 0), (out, 1), (err, 2)):
        os.dup2(fd, own)
        os.close(fd)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv = ["policy-service", *asked["arguments"]]
    try:
        main()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)

control = socket.socket(fileno=int(sys.argv[1]))
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
while True:
    text, fds, _, _ = socket.recv_fds(control, 1 << 20, 3)
    if not text:
        sys.exit()
    # One process waits for each command, so that they run side by side.
    if os.fork() == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        control.close()
        out, err, told = fds
        command = os.fork()
        if command == 0:
            os.close(told)
            run(json.loads(text), out, err)
        os.write(told, b"%d " % command)
        os.write(told, b"%d" % os.waitstatus_to_exitcode(os.waitpid(command, 0)[1]))
        os._exit(0)
    for fd in fds:
        os.close(fd)
"""


@cache
def _loaded() -> tuple[socket.socket, "subprocess.Popen[bytes]"]:
    """The process with the command loaded, and how it is told what to run; it ends with this one."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with its:
        process = subprocess.Popen(
            [sys.executable, "-c", _LOADED, str(its.fileno())],
            pass_fds=[its.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours, process


def run_command(
    *arguments: str, environment: Mapping[str, str], folder: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run ``policy-service`` with these arguments to its end, and hand back what it said.

    A command that takes ``--timeout`` and is given none gets a long one: its own is for people, not for a busy machine.
    """
    words = [*arguments, *_time_limit(arguments)]
    asked = {"arguments": words, "environment": dict(environment), "folder": str(folder or Path.cwd())}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        ours, its = socket.socketpair()
        with ours, its:
            socket.send_fds(_loaded()[0], [json.dumps(asked).encode()], [out.fileno(), err.fileno(), its.fileno()])
            its.close()
            ours.settimeout(PATIENCE)
            told = b""
            try:
                while part := ours.recv(64):
                    told += part
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(told.split()[0]), signal.SIGKILL)
                raise subprocess.TimeoutExpired(["policy-service", *words], PATIENCE) from None
        said = []
        for file in (out, err):
            file.seek(0)
            said.append(file.read().decode())
    return subprocess.CompletedProcess(["policy-service", *words], int(told.split()[1]), said[0], said[1])


def _time_limit(arguments: tuple[str, ...]) -> list[str]:
    if "--timeout" in arguments:
        return []
    command = typer.main.get_command(app)
    for word in arguments:
        known = getattr(command, "commands", {})
        if word not in known:
            break
        command = known[word]
    takes = any("--timeout" in option.opts for option in command.params)
    return ["--timeout", str(PATIENCE)] if takes else []
