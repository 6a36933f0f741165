"""A fake of the policy service for other programs' tests: in their process, without database or e-mail.

    with FakePolicyService() as fake:
        fake.add_physician("dr-osei", owner="ama")
        fake.grant("mia", "dr-osei", "data_entry")
        with PolicyClient(fake.decision_target) as policy:
            assert policy.check("mia", "dr-osei", "claim:submit")

It is a real gRPC server on loopback which follows the same rules and refuses
for the same reasons as the service, so that every client is used unchanged. It
sends no e-mail (``token_for`` gives the link's token), and lets every caller
call. Its built-in roles are the shipped ones, or those of a seed file.
"""

import re
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from types import TracebackType
from typing import Any, Self

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import ServiceDescriptor

from policy_client._pb import decision_pb2, manage_users_pb2
from policy_client.answers import Question
from policy_client.testing import members
from policy_client.testing.decisions import Decisions
from policy_client.testing.limits import Limits
from policy_client.testing.members import Definition
from policy_client.testing.refusals import DETAILS_KEY, REQUEST_ID, Refusal
from policy_client.testing.seed import SHIPPED, read_seed
from policy_client.testing.users import Users

__all__ = ["FakePolicyService", "Limits", "Refusal"]


def _now() -> datetime:
    return datetime.now(UTC)


class FakePolicyService:
    """Both planes of the service, from ``with`` to its end."""

    def __init__(
        self,
        *,
        clock: Callable[[], datetime] = _now,
        invitations_last: timedelta = timedelta(days=7),
        seed: str | Path | None = None,
        limits: Limits | None = None,
    ) -> None:
        """``clock`` answers with a timezone; give one of your own to see invitations expire.

        ``seed`` is a file in the form of the service's policies/seed.csv, whose
        roles are then built in. Raises ValueError for a row that cannot be.
        ``limits`` are the service's own unless given.
        """
        built_in = SHIPPED if seed is None else read_seed(seed)
        self._lock = threading.RLock()
        self._clock = clock
        self._is_away = False
        self._users = Users(clock, invitations_last, built_in, limits)
        self._decisions = Decisions(lambda: self._users.state)
        self._servers = [
            self._serve(decision_pb2.DESCRIPTOR.services_by_name["DecisionService"], self._decisions),
            self._serve(manage_users_pb2.DESCRIPTOR.services_by_name["ManageUsersService"], self._users),
        ]
        ports = [server.add_insecure_port("127.0.0.1:0") for server in self._servers]
        self.decision_target, self.management_target = (f"127.0.0.1:{port}" for port in ports)

    def __enter__(self) -> Self:
        for server in self._servers:
            server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        for stopped in [server.stop(grace=None) for server in self._servers]:
            stopped.wait()

    @property
    def revision(self) -> int:
        """The revision that holds now; it grows by one with each change."""
        return self._users.state.revision

    @property
    def decisions(self) -> list[Question]:
        """Every question asked by Check, BatchCheck and Explain so far, in order."""
        with self._lock:
            return list(self._decisions.asked)

    def add_physician(self, physician: str, *, owner: str) -> int:
        """Open an account; the revision. Raises Refusal if it is open."""
        return self._change(lambda draft: members.register(draft, physician, owner, self._clock()))

    def grant(self, user: str, physician: str, role: str) -> int:
        """Give a user a role without invitation; the revision. Raises Refusal for unknown physicians and roles."""
        return self._change(lambda draft: members.grant(draft, physician, user, role, self._clock()))

    def define_role(
        self,
        role: str,
        physician: str,
        *,
        allow: Iterable[str] = (),
        deny: Iterable[str] = (),
        includes: Iterable[str] = (),
    ) -> int:
        """Make a custom role, or replace it; the revision. Raises Refusal for what no role may be."""
        definition = Definition(allow=tuple(allow), deny=tuple(deny), includes=tuple(includes))
        return self._change(lambda draft: members.define(draft, physician, role, definition))

    def token_for(self, invitation_id: str) -> str:
        """The token of an invitation's last link, as its e-mail would say. Raises KeyError."""
        return self._users.state.invitations[invitation_id].token

    def address_token_for(self, user: str) -> str:
        """The token of the last link that the user's wish for another address sent. Raises KeyError."""
        return {wish.user: wish.token for wish in self._users.state.addresses}[user]

    def go_away(self) -> None:
        """Answer every call with UNAVAILABLE, until ``come_back``."""
        self._is_away = True

    def come_back(self) -> None:
        """Answer again, from the same state as before."""
        self._is_away = False

    def _change(self, story: Callable[[Any], None]) -> int:
        with self._lock:
            self._users.write(story)
            return self.revision

    def _serve(self, service: ServiceDescriptor, methods: object) -> grpc.Server:
        handlers = {
            method.name: grpc.unary_unary_rpc_method_handler(
                self._handler(getattr(methods, re.sub(r"(?<!^)(?=[A-Z])", "_", method.name).lower())),
                request_deserializer=message_factory.GetMessageClass(method.input_type).FromString,
                response_serializer=message_factory.GetMessageClass(method.output_type).SerializeToString,
            )
            for method in service.methods
        }
        server = grpc.server(ThreadPoolExecutor(4, thread_name_prefix="fake-policy-service"))
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.full_name, handlers),))
        return server

    def _handler(self, answer: Callable[[Any], Any]) -> Callable[[Any, grpc.ServicerContext], Any]:
        def handle(request: Any, context: grpc.ServicerContext) -> Any:
            if self._is_away:
                context.abort(grpc.StatusCode.UNAVAILABLE, "The fake policy service is away.")
            try:
                with self._lock:
                    return answer(request)
            except Refusal as refused:
                brought = (str(value) for key, value in context.invocation_metadata() or () if key == REQUEST_ID)
                request_id = next(brought, "") or token_hex(8)
                context.set_trailing_metadata(((DETAILS_KEY, refused.status(request_id)), (REQUEST_ID, request_id)))
                context.abort(refused.code, str(refused))

        return handle
