"""A process that serves: ``service`` is all of it, ``unlogged`` without its decision log, ``floor`` decides nothing.

``writes`` is all of it, with caps that a benchmark of writes does not meet.

    python -m tests.benchmarks.server service DSN
    python -m tests.benchmarks.server unlogged DSN
    python -m tests.benchmarks.server floor

The floor runs on the same kind of server with the same options, threads and
messages: its Check returns a constant, its BatchCheck reads every field of
every question and encodes as many answers. Writes its ports as a line of JSON,
serves until its standard input ends.
"""

import asyncio
import json
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc

from policy_service.app import open_app
from policy_service.pb import decision_pb2 as pb
from policy_service.rpc.server import _OPTIONS, DECISION
from policy_service.settings import Settings
from tests.benchmarks.quiet import keep_stdout_clean
from tests.conftest import DATA_DIR, settings_for

# A growing account's invitations are not to be measured up to their cap only.
_MORE = {
    "unlogged": {"decision_log": "off"},
    "writes": {"letters_per_account": 1_000_000, "max_members_per_account": 10_000},
}
_ANSWER = pb.CheckResponse(
    allowed=True, reason=pb.REASON_GRANTED, revision=2, decision_id="0123456789ab-1000000", role="data_entry"
)


def constant(request: pb.CheckRequest, context: Any) -> pb.CheckResponse:
    """The same answer to everything."""
    return _ANSWER


def decode_and_encode(request: pb.BatchCheckRequest, context: Any) -> pb.BatchCheckResponse:
    """Read what there is to read, write what there is to write."""
    answers = []
    for check in request.checks:
        _ = (check.user, check.physician, check.action, check.channel)
        _ = (check.min_revision, check.resource, check.correlation_id)
        answers.append(
            pb.CheckResponse(
                allowed=True,
                reason=pb.REASON_GRANTED,
                revision=2,
                decision_id="0123456789ab-1000000",
                role="data_entry",
            )
        )
    return pb.BatchCheckResponse(answers=answers, revision=2)


async def serve_floor(settings: Settings) -> None:
    """As ``serving`` does, without a service."""
    threads = ThreadPoolExecutor(settings.decision_threads, thread_name_prefix="decision")
    server = grpc.server(threads, options=_OPTIONS, maximum_concurrent_rpcs=settings.max_concurrent_calls)
    handlers = {
        "Check": grpc.unary_unary_rpc_method_handler(
            constant,
            request_deserializer=pb.CheckRequest.FromString,
            response_serializer=pb.CheckResponse.SerializeToString,
        ),
        "BatchCheck": grpc.unary_unary_rpc_method_handler(
            decode_and_encode,
            request_deserializer=pb.BatchCheckRequest.FromString,
            response_serializer=pb.BatchCheckResponse.SerializeToString,
        ),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(DECISION.full_name, handlers),))
    port = server.add_insecure_port(settings.decision_address)
    server.start()
    await _until_input_ends(port, 0)
    server.stop(0).wait()


async def serve_service(settings: Settings) -> None:
    """The service itself, on a database that is filled already."""
    async with open_app(settings) as app:
        await _until_input_ends(app.planes.decision_port, app.planes.management_port)


async def _until_input_ends(decision_port: int, management_port: int) -> None:
    print(json.dumps([decision_port, management_port]), flush=True)
    await asyncio.to_thread(sys.stdin.read)


def main() -> None:
    """Read the arguments and serve, on uvloop where there is one, as the service does."""
    keep_stdout_clean()
    kind = sys.argv[1]
    more = _MORE.get(kind, {})
    serve = serve_floor if kind == "floor" else serve_service
    with tempfile.TemporaryDirectory() as folder:
        dsn = sys.argv[2] if len(sys.argv) > 2 else "postgresql://unused"
        serving = serve(settings_for(dsn, data_dir=Path(folder), token_key_file=DATA_DIR / "token.key", **more))
        try:
            import uvloop
        except ImportError:
            asyncio.run(serving)
        else:
            uvloop.run(serving)


if __name__ == "__main__":
    main()
