"""CallersService: decode, change in one transaction, encode. A token's text is in the answer and nowhere else."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from policy_service import callers
from policy_service.decide import Model
from policy_service.errors import InvalidField, InvalidRequest
from policy_service.pb import callers_pb2 as pb
from policy_service.rpc.fields import Fields, invalid
from policy_service.rpc.methods import KEPT_GROUPS, contract_methods, contract_services, method_groups
from policy_service.rpc.reach import limits_of
from policy_service.rpc.seeds import parse_reason
from policy_service.store import Store
from policy_service.store.callers import Token
from policy_service.vocabulary import LOCAL_CALLER, OwnRights, name_of, parse_physician, parse_service, parse_user

_VALID_FOR: Final = timedelta(days=90)
_OVERLAP: Final = timedelta(days=7)
_LONGEST_OVERLAP: Final = timedelta(days=90)


class CallersService:
    """The methods about calling services, as functions from request and caller to response."""

    def __init__(self, store: Store, model: Model, *, clock: Callable[[], datetime]) -> None:
        """``clock`` tells the time in UTC."""
        self._store = store
        self._model = model
        self._clock = clock

    async def list_callers(self, request: pb.ListCallersRequest, caller: str) -> pb.ListCallersResponse:  # noqa: ARG002
        """See CallersService.ListCallers in callers.proto."""
        async with self._store.reading() as look:
            found = await callers.known_callers(look)
        return pb.ListCallersResponse(
            callers=[self._caller(one) for one in found], revision=look.revision, history=name_of(look.held.mark)
        )

    async def get_caller(self, request: pb.GetCallerRequest, caller: str) -> pb.GetCallerResponse:  # noqa: ARG002
        """See CallersService.GetCaller in callers.proto."""
        wanted = parse_service(request.caller)
        async with self._store.reading() as look:
            found = await callers.one_caller(look, self._model, wanted, contract_methods())
        return pb.GetCallerResponse(caller=self._caller(found), revision=look.revision, history=name_of(look.held.mark))

    async def add_caller(self, request: pb.AddCallerRequest, caller: str) -> pb.AddCallerResponse:
        """See CallersService.AddCaller in callers.proto."""
        now = self._clock()
        with Fields() as fields:
            name = fields.read(_parse_name, request.caller)
            rights = fields.read(_parse_rights, request)
            until = fields.read(partial(_parse_until, now=now), request)
            actor = fields.read(partial(parse_user, field="actor"), request.actor)
            reason = fields.read(parse_reason, request.reason)
        if request.certificate_only and not rights.methods:
            raise invalid("may", "may is empty: a caller without a token is added for the rights that it gets")
        if request.certificate_only and request.HasField("expires_at"):
            raise invalid("expires_at", "expires_at is a token's, and with certificate_only there is none")
        async with self._store.transaction(caller=caller, actor=actor, reason=reason) as tx:
            issued = await callers.add(
                tx, self._model, name, rights, token_until=None if request.certificate_only else until, now=now
            )
            written = await tx.named()
        response = pb.AddCallerResponse(revision=written.revision, history=written.history)
        if issued is not None:
            response.token, response.token_id = issued.text, issued.id
            response.expires_at.FromDatetime(until)
        return response

    async def change_caller(self, request: pb.ChangeCallerRequest, caller: str) -> pb.ChangeCallerResponse:
        """See CallersService.ChangeCaller in callers.proto."""
        with Fields() as fields:
            name = fields.read(_parse_name, request.caller)
            rights = fields.read(_parse_rights, request)
            actor = fields.read(partial(parse_user, field="actor"), request.actor)
            reason = fields.read(parse_reason, request.reason)
        async with self._store.transaction(caller=caller, actor=actor, reason=reason) as tx:
            await callers.change(tx, self._model, name, rights)
            written = await tx.named()
        return pb.ChangeCallerResponse(revision=written.revision, history=written.history, changed=written.changed)

    async def rotate_token(self, request: pb.RotateTokenRequest, caller: str) -> pb.RotateTokenResponse:
        """See CallersService.RotateToken in callers.proto."""
        now = self._clock()
        with Fields() as fields:
            name = fields.read(_parse_name, request.caller)
            until = fields.read(partial(_parse_until, now=now), request)
            overlap = fields.read(_parse_overlap, request)
            actor = fields.read(partial(parse_user, field="actor"), request.actor)
            reason = fields.read(parse_reason, request.reason)
        async with self._store.transaction(caller=caller, actor=actor, reason=reason) as tx:
            rotated = await callers.rotate(tx, name, until=until, overlap=overlap, at_once=request.at_once, now=now)
            written = await tx.named()
        response = pb.RotateTokenResponse(
            revision=written.revision,
            history=written.history,
            token=rotated.issued.text,
            token_id=rotated.issued.id,
            before=None if rotated.before is None else _token(rotated.before, now),
        )
        response.expires_at.FromDatetime(until)
        return response

    async def remove_token(self, request: pb.RemoveTokenRequest, caller: str) -> pb.RemoveTokenResponse:
        """See CallersService.RemoveToken in callers.proto."""
        with Fields() as fields:
            name = fields.read(_parse_name, request.caller)
            token = fields.read(_parse_token_id, request.token_id)
            actor = fields.read(partial(parse_user, field="actor"), request.actor)
            reason = fields.read(parse_reason, request.reason)
        async with self._store.transaction(caller=caller, actor=actor, reason=reason) as tx:
            await callers.remove_token(tx, name, token)
            written = await tx.named()
        return pb.RemoveTokenResponse(revision=written.revision, history=written.history)

    async def remove_caller(self, request: pb.RemoveCallerRequest, caller: str) -> pb.RemoveCallerResponse:
        """See CallersService.RemoveCaller in callers.proto."""
        with Fields() as fields:
            name = fields.read(_parse_name, request.caller)
            actor = fields.read(partial(parse_user, field="actor"), request.actor)
            reason = fields.read(parse_reason, request.reason)
        async with self._store.transaction(caller=caller, actor=actor, reason=reason) as tx:
            seed_rights = await callers.remove(tx, name)
            written = await tx.named()
        return pb.RemoveCallerResponse(revision=written.revision, history=written.history, seed_rights=seed_rights)

    def _caller(self, found: callers.Known) -> pb.Caller:
        return pb.Caller(
            caller=found.caller,
            in_seed=found.in_seed,
            own_methods=len(found.own.methods),
            physicians=sorted(found.own.physicians or ()) if found.rights else (),
            tokens=[_token(token, self._clock()) for token in found.tokens],
            rights=[
                pb.CallerRight(method=right.method, limited=right.limited, by_seed=right.by_seed)
                for right in found.rights
            ],
        )


def _token(found: Token, now: datetime) -> pb.CallerToken:
    told = pb.CallerToken(id=found.id, expired=not found.is_valid(now))
    told.made_at.FromDatetime(found.made_at)
    told.expires_at.FromDatetime(found.expires_at)
    if found.used_at is not None:
        told.last_used_at.FromDatetime(found.used_at)
    return told


def _parse_name(text: str) -> str:
    name = parse_service(text)
    if name == LOCAL_CALLER:
        raise invalid("caller", f"caller {LOCAL_CALLER!r} is whoever connects over plain loopback, and has no token")
    return name


def _parse_token_id(text: str) -> str:
    if not text:
        raise invalid("token_id", "token_id is empty")
    return text


def _parse_rights(request: Any) -> OwnRights:
    """What a caller may call, and where. Raises InvalidRequest."""
    with Fields() as fields:
        methods = frozenset(
            method
            for place, word in enumerate(request.may)
            for method in fields.read(partial(_methods_of, place, limited=bool(request.physicians)), word) or ()
        )
        physicians = [
            fields.read(partial(parse_physician, field=f"physicians[{place}]"), name)
            for place, name in enumerate(request.physicians)
        ]
    if physicians and not methods:
        raise invalid("physicians", "physicians are named, and nothing that may be called for them")
    return OwnRights(methods=methods, physicians=frozenset(physicians) if physicians else None)


def _methods_of(place: int, word: str, *, limited: bool) -> Iterable[str]:
    field = f"may[{place}]"
    groups = method_groups()
    if word in KEPT_GROUPS:
        raise invalid(field, f"{field} is {word}, which is kept for methods to come")
    if word not in groups and word not in contract_methods():
        known = ", ".join(sorted(groups))
        raise invalid(field, f"{field} is none of {known}, and no Service/Method")
    methods = groups.get(word, frozenset({word}))
    if limited:
        methods &= limits_of(contract_services()).keys()
        if not methods:
            raise invalid(field, f"{field} is about every account, and cannot be limited to named physicians")
    return methods


def _parse_until(request: Any, *, now: datetime) -> datetime:
    if not request.HasField("expires_at"):
        return now + _VALID_FOR
    try:
        until: datetime = request.expires_at.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise invalid("expires_at", "expires_at is no time") from None
    if not now < until <= now + callers.LONGEST:
        raise invalid("expires_at", f"expires_at is not within {callers.LONGEST.days} days from now")
    return until


def _parse_overlap(request: Any) -> timedelta:
    if not request.HasField("overlap"):
        return _OVERLAP
    try:
        overlap: timedelta = request.overlap.ToTimedelta()
    except (ValueError, OverflowError):
        overlap = timedelta(-1)
    if request.at_once or not timedelta(0) <= overlap <= _LONGEST_OVERLAP:
        words = f"overlap is not 0 to {_LONGEST_OVERLAP.days} days, or stands beside at_once"
        raise InvalidRequest(violations=(InvalidField(field="overlap", description=words),))
    return overlap
