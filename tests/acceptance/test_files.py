"""ATTACKS 39: a process with the usual 1,024 open files, and more connections than that which say nothing."""

import contextlib
import urllib.request

import grpc

from tests.acceptance.conftest import BIN, Service
from tests.support.silence import TLS_HALF_WAY, connections


def test_connections_that_say_nothing_use_up_no_files(short_folder):
    limited = f"ulimit -Sn 1024; ulimit -Hn 4096; exec {BIN}/policy-service serve --demo"
    service = Service(short_folder, command=("sh", "-c", limited))
    with service.running(), contextlib.ExitStack() as silent:
        for port in (service.ports["DECISION"], service.ports["MANAGEMENT"], service.ports["METRICS"]):
            silent.enter_context(connections(port, 1_010 if port == service.ports["DECISION"] else 300))
        silent.enter_context(connections(service.ports["DECISION"], 200, first=TLS_HALF_WAY))
        answer = service.cli("check", "mia", "dr-osei", "claim:submit")
        assert answer.returncode == 0, answer.stderr
        assert service.cli("roles", "list", "dr-osei", "--as", "ama").returncode == 0
        with urllib.request.urlopen(f"http://127.0.0.1:{service.ports['METRICS']}/metrics", timeout=20) as metrics:
            assert metrics.status == 200
        with grpc.insecure_channel(f"127.0.0.1:{service.ports['DECISION']}") as channel:
            assert channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=20)
