"""Writers who grant and revoke without end, and remember what they were told was done.

What fails is asked again under its key until it is answered, as a client does, so in the end everything is known: who
has which role where, and at which revisions that came about. ``judge`` holds it against the database.
"""

import contextlib
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import grpc
from google.protobuf import message_factory

from policy_service.members.tokens import TokenKey
from policy_service.pb import decision_pb2 as pb
from policy_service.pb import manage_users_pb2 as mu
from tests.support.patience import PATIENCE
from tests.support.rpc import METHODS, refused

_OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 200),
)
_ROLES = ("data_entry", "financial_viewer")
_ACTIONS = {"data_entry": "claim:submit", "financial_viewer": "invoice:pay"}
_USERS = 3
_CALL_SECONDS = 8.0


class Door:
    """One plane of one or several services: a call goes to one of them, and after a failure the next to another."""

    def __init__(self, ports: Sequence[int]) -> None:
        self._channels = [grpc.insecure_channel(f"127.0.0.1:{port}", _OPTIONS) for port in ports]
        self._turn = 0

    def __call__(self, method: str, request: Any, timeout: float = _CALL_SECONDS) -> Any:
        service, descriptor = METHODS[method]
        call = self._channels[self._turn % len(self._channels)].unary_unary(
            f"/{service.full_name}/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=message_factory.GetMessageClass(descriptor.output_type).FromString,
        )
        try:
            return call(request, timeout=timeout)
        except grpc.RpcError:
            self._turn += 1
            raise

    def close(self) -> None:
        for channel in self._channels:
            channel.close()


@dataclass
class Tally:
    """What all writers were told."""

    acknowledged: int = 0
    wrong: list[str] = field(default_factory=list)
    """What no fault excuses."""
    answers: Counter[str] = field(default_factory=Counter)
    """Refusals, by code and reason."""
    slowest: float = 0.0
    """Seconds of the slowest single call."""
    moved: threading.Condition = field(default_factory=threading.Condition)

    def wait_for(self, more: int, still: Callable[[], object]) -> None:
        """Until so many further writes were acknowledged; ``still`` says what is wrong where none can come."""
        wanted, until = self.acknowledged + more, time.monotonic() + PATIENCE
        with self.moved:
            while not self.moved.wait_for(lambda: self.acknowledged >= wanted, 1):
                assert time.monotonic() < until, (still(), self.answers)


class Writer(threading.Thread):
    """One owner of one account. Any number write side by side."""

    def __init__(self, number: int, management: Door, decisions: Door, key: TokenKey, tally: Tally) -> None:
        super().__init__(daemon=True)
        self.physician, self.owner = f"dr-{number}", f"owner-{number}"
        self._manage, self._ask, self._key, self._tally = management, decisions, key, tally
        self._random = random.Random(number)
        self._stopped = threading.Event()
        self.roles: dict[str, str] = {}
        """Who has which."""
        self.revisions: list[int] = []

    def run(self) -> None:
        try:
            register = mu.RegisterPhysicianRequest(actor=self.owner, physician=self.physician, owner=self.owner)
            self._write("RegisterPhysician", register)
            while not self._stopped.is_set():
                user = f"u-{self.physician}-{self._random.randrange(_USERS)}"
                self._look(user, self._change(user))
        except Exception as fault:  # noqa: BLE001 - told with whatever else is wrong.
            self._tally.wrong.append(repr(fault))

    def end(self) -> None:
        """The change in hand is finished first."""
        self._stopped.set()
        self.join(PATIENCE)
        assert not self.is_alive()
        self._manage.close()
        self._ask.close()

    def _change(self, user: str) -> int:
        """One step in somebody's life on the account; the revision of the last write."""
        account = {"actor": self.owner, "physician": self.physician, "username": user}
        role = self._random.choice(_ROLES)
        if user not in self.roles:
            asked = mu.InviteUserRequest(
                **account, email=f"{user}@clinic.example", permissions=mu.Permissions(roles=[role]), reuse_existing=True
            )
            invited = self._write("InviteUser", asked)
            token = self._key.token(invited.invitation.id, 1)
            written = self._write("AcceptInvitation", mu.AcceptInvitationRequest(token=token))
            self.roles[user] = role
        elif self._random.random() < 0.6 and self.roles[user] != role:
            edit = mu.UpdatePermissionsRequest(**account, permissions=mu.Permissions(roles=[role]))
            written = self._write("UpdatePermissions", edit)
            self.roles[user] = role
        else:
            written = self._write("RevokeAccess", mu.RevokeAccessRequest(**account))
            del self.roles[user]
        return int(written.revision)

    def _write(self, method: str, request: Any) -> Any:
        """Asked under one key until it is answered."""
        if "idempotency_key" in request.DESCRIPTOR.fields_by_name:
            request.idempotency_key = uuid.uuid4().hex
        until = time.monotonic() + PATIENCE
        while True:
            began = time.monotonic()
            try:
                written = self._manage(method, request)
            except grpc.RpcError as error:
                self._tally.slowest = max(self._tally.slowest, time.monotonic() - began)
                found = refused(error)
                with self._tally.moved:
                    self._tally.answers[f"{found.code.name} {found.reason}".strip()] += 1
                assert time.monotonic() < until, found
                time.sleep(self._random.uniform(0.02, 0.1))
                continue
            if self.revisions and written.revision <= self.revisions[-1]:
                self._tally.wrong.append(f"{method} at {written.revision}, after {self.revisions[-1]}")
            self.revisions.append(written.revision)
            with self._tally.moved:
                self._tally.acknowledged += 1
                self._tally.moved.notify_all()
            return written

    def _look(self, user: str, revision: int) -> None:
        """What was just written is what is answered, if anything is."""
        for role in _ROLES:
            question = pb.CheckRequest(
                user=user, physician=self.physician, action=_ACTIONS[role], min_revision=revision
            )
            try:
                answer = self._ask("Check", question)
            except grpc.RpcError as error:
                found = refused(error)
                with self._tally.moved:
                    self._tally.answers[f"check: {found.code.name} {found.reason}".strip()] += 1
                continue
            if answer.revision < revision:
                self._tally.wrong.append(f"{user} answered at {answer.revision}, asked for {revision}")
            if answer.allowed != (self.roles.get(user) == role):
                self._tally.wrong.append(f"{user} {role} was answered {answer.allowed} at {answer.revision}")


@contextlib.contextmanager
def writing(services: Sequence[Any], key: TokenKey, writers: int = 4):
    """Writers at work on some services; in the block's end all have finished. Gives them and their tally."""
    tally = Tally()
    made = []
    for number in range(writers):
        order = [services[(number + step) % len(services)] for step in range(len(services))]
        doors = Door([one.management for one in order]), Door([one.decision for one in order])
        made.append(Writer(number, *doors, key, tally))
    for writer in made:
        writer.start()
    try:
        yield made, tally
    finally:
        for writer in made:
            writer._stopped.set()
        for writer in made:
            writer.end()


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What became of what was acknowledged."""

    lost: int
    half_done: int
    doubled: int


async def judge(dsn: str, writers: Sequence[Writer]) -> Judgement:
    """Hold what writers were told against the change log and the policy in force."""
    connection = await asyncpg.connect(dsn)
    try:
        logged = await connection.fetch("SELECT physician, revision FROM changes WHERE physician <> ''")
        grants = await connection.fetch(
            "SELECT v0, v1, v2 FROM casbin_rule WHERE ptype = 'g' AND v2 LIKE 'physician:%'"
        )
        open_ones = await connection.fetch("SELECT physician, username FROM invitations WHERE state = 'pending'")
    finally:
        await connection.close()
    lost = half = doubled = 0
    for writer in writers:
        found = {row["revision"] for row in logged if row["physician"] == writer.physician}
        lost += len(set(writer.revisions) - found)
        # Every change of an account was some writer's, who was told of it once.
        doubled += len(found - set(writer.revisions))
        held = {
            row["v0"].removeprefix("user:"): row["v1"].removeprefix("role:")
            for row in grants
            if row["v2"] == f"physician:{writer.physician}" and row["v0"] != f"user:{writer.owner}"
        }
        half += len({*held.items()} ^ {*writer.roles.items()})
        half += sum(row["physician"] == writer.physician for row in open_ones)
    return Judgement(lost=lost, half_done=half, doubled=doubled)
