"""The disk is full under a running service: what it answers is recorded all the same."""

import json
import resource
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc

from policy_service.pb import decision_pb2 as pb
from tests.acceptance.conftest import Service
from tests.support.rpc import refused as read_refusal


def test_with_its_disk_full_a_service_answers_nothing_that_it_cannot_record(short_folder):
    service = Service(short_folder, settings={"POLICY_DECISION_LOG_SPOOL_MB": "256"})
    asked = pb.BatchCheckRequest(
        checks=[
            pb.CheckRequest(user="mia", physician="dr-osei", action="claim:view", resource="r" * 250)
        ] * 1_000
    )  # fmt: skip
    answered, reasons, lock = [0], set[str](), threading.Lock()

    def ask(port: int) -> None:
        with grpc.insecure_channel(f"127.0.0.1:{port}", (("grpc.use_local_subchannel_pool", 1),)) as channel:
            batch = channel.unary_unary(
                "/policy.v1.DecisionService/BatchCheck",
                pb.BatchCheckRequest.SerializeToString,
                pb.BatchCheckResponse.FromString,
            )
            for _ in range(15):
                try:
                    count = len(batch(asked, timeout=60).answers)
                except grpc.RpcError as fault:
                    with lock:
                        reasons.add(read_refusal(fault).reason)
                else:
                    with lock:
                        answered[0] += count

    with service.running() as process:
        _, most = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        # From here on the system refuses it every larger file, as a full disk does.
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1 << 20, most))
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(ask, [service.ports["DECISION"]] * 4))
        assert reasons <= {"DECISION_LOG_BEHIND"}
        # More than the files that were made at the start hold at once.
        assert answered[0] * 350 > 8 << 20
        # As verify is told; the last lines may be under way.
        while True:
            done = service.cli("audit", "verify", "--json")
            assert done.returncode == 0, done.stdout + done.stderr
            (log,) = json.loads(done.stdout)["replicas"]
            assert log["counted_lost"] == 0
            if log["decisions"] == answered[0]:
                break
        assert log["last_sequence"] == answered[0]
