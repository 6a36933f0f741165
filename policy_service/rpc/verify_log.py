"""AuditService.VerifyLog: decode, walk, encode."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from policy_service.audit import Checkpointer, Verdict, verify
from policy_service.chain import Checkpoint, Verifier
from policy_service.errors import InvalidField, InvalidRequest
from policy_service.pb import audit_pb2 as pb
from policy_service.pb import seeds_pb2
from policy_service.rpc.fields import invalid
from policy_service.store import Recorded, Store, Unrecorded
from policy_service.vocabulary import Progress

_MOST_FAULTS = 10
_MOST_LOSSES = 1_000


class LogWalk:
    """What VerifyLog needs besides its request."""

    def __init__(self, store: Store, verifier: Verifier | None, checkpointer: Checkpointer | None = None) -> None:
        """Checkpoints given must be under the verifier's key; with a checkpointer, a fresh one goes with a verdict."""
        self._store = store
        self._verifier = verifier
        self._checkpointer = checkpointer

    async def verify(self, request: pb.VerifyLogRequest) -> AsyncGenerator[pb.VerifyLogResponse, None]:
        """See AuditService.VerifyLog in audit.proto."""
        against = self._read_all(request.against)
        async with aclosing(verify(self._store, against, self._verifier)) as parts:
            async for part in parts:
                if isinstance(part, Progress):
                    yield pb.VerifyLogResponse(progress=seeds_pb2.Progress(done=part.done, total=part.total))
                else:
                    yield pb.VerifyLogResponse(verdict=await self._verdict(part))

    def _read_all(self, lines: Sequence[str]) -> list[Checkpoint]:
        found, faults = [], list[InvalidField]()
        for place_and_line in enumerate(lines):
            try:
                found.append(self._read(place_and_line))
            except InvalidRequest as fault:
                faults += fault.violations
                # More would not fit into an answer's head, and say the same.
                if len(faults) == _MOST_FAULTS:
                    break
        if faults:
            raise InvalidRequest(violations=tuple(faults))
        return found

    def _read(self, place_and_line: tuple[int, str]) -> Checkpoint:
        place, line = place_and_line
        if self._verifier is None:
            raise invalid("against", "against: there is no public key to believe a checkpoint by")
        try:
            return self._verifier.read(line)
        except InvalidRequest as fault:
            name = f"against[{place}]"
            raise InvalidRequest(
                violations=tuple(
                    InvalidField(field=name, description=f"{name}: {at.description.partition(': ')[2]}")
                    for at in fault.violations
                )
            ) from fault

    async def _verdict(self, found: Verdict) -> pb.Verdict:
        # A broken log gets no signature: it would vouch for what was found broken.
        sound = not found.fault
        checkpoint = ""
        if sound and self._checkpointer is not None:
            checkpoint = await self._checkpointer.sign(found.head_revision, found.head_hash)
        return pb.Verdict(
            whole=found.is_whole,
            entries=found.entries,
            broken_revision=found.broken_revision,
            fault=found.fault,
            head_revision=found.head_revision,
            head_hash=found.head_hash.hex(),
            checkpoint=checkpoint,
            checkpoints_met=found.checkpoints_met,
            statement=found.statement,
            replicas=[_replica(recorded) for recorded in found.replicas],
            lost=sum(loss.lost for loss in found.unrecorded),
            losses=[_loss(loss) for loss in found.unrecorded[:_MOST_LOSSES]],
        )


def _replica(recorded: Recorded) -> pb.ReplicaLog:
    return pb.ReplicaLog(
        replica=recorded.replica,
        started_at=recorded.started_at,
        ended_at=recorded.ended_at,
        decisions=recorded.decisions,
        first_sequence=recorded.first_sequence,
        last_sequence=recorded.last_sequence,
        counted_lost=recorded.lost,
    )


def _loss(loss: Unrecorded) -> pb.Loss:
    return pb.Loss(
        replica=loss.replica, caller=loss.caller, lost=loss.lost, first_at=loss.first_at, last_at=loss.last_at
    )
