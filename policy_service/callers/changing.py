"""Adds, changes, rotates and removes: each in the transaction that it is given, as one change with its entry.

An entry names the caller and a token's id; of the token itself no entry, log or
error knows anything. What is kept of it is vouched for by the entry as rows of
users are, by a digest of the whole row (store/records.py).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from policy_service.callers.errors import (
    CallerExists,
    CallerNotLimited,
    RotationUnderWay,
    TooManyCallers,
    UnknownCaller,
    UnknownToken,
)
from policy_service.callers.known import seed_reach
from policy_service.decide import Model
from policy_service.store import Transaction, callers
from policy_service.vocabulary import SYSTEM_DOMAIN, Issued, OwnRights, Row, issue_token, name_in, subject_of_service

LONGEST: Final = timedelta(days=400)
"""For how long a token may be valid."""
_MOST_CALLERS: Final = 500
_MOST_VALID: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotated:
    """A further token, and the one before as it stands now, if there is one that goes on."""

    issued: Issued
    before: callers.Token | None


async def add(
    tx: Transaction, model: Model, caller: str, rights: OwnRights, *, token_until: datetime | None, now: datetime
) -> Issued | None:
    """Give a caller rights of its own, and a token that ends then.

    Raises CallerExists, TooManyCallers and CallerNotLimited.
    """
    own = await callers.own_rights(tx)
    tokens = await callers.tokens(tx)
    if subject_of_service(caller) in own or any(token.caller == caller for token in tokens):
        raise CallerExists(caller=caller)
    if len({*map(name_in, own), *(token.caller for token in tokens)}) >= _MOST_CALLERS:
        raise TooManyCallers(most=_MOST_CALLERS)
    await _refuse_no_limit(tx, model, caller, rights)
    detail: dict[str, object] = {"caller": caller}
    issued = None
    if token_until is not None:
        issued = issue_token()
        await callers.add(tx, caller, issued, now, token_until)
        detail |= {"token": issued.id, "expires_at": token_until.isoformat()}
    await tx.change("caller.add", None, begun=rights.rows(caller), detail=detail)
    return issued


async def change(tx: Transaction, model: Model, caller: str, rights: OwnRights) -> None:
    """Put other rights in the place of a caller's own. Raises UnknownCaller, TooManyCallers and CallerNotLimited."""
    own = await callers.own_rights(tx)
    held, wanted = {*own.get(subject_of_service(caller), ())}, rights.rows(caller)
    if not held and not await callers.tokens(tx, caller) and not await _is_known(tx, caller):
        raise UnknownCaller(caller=caller)
    if not held and len(own) >= _MOST_CALLERS:
        raise TooManyCallers(most=_MOST_CALLERS)
    await _refuse_no_limit(tx, model, caller, rights)
    if held != wanted:
        detail = {"caller": caller}
        await tx.change("caller.change", None, ended=held - wanted, begun=wanted - held, detail=detail)


async def rotate(
    tx: Transaction, caller: str, *, until: datetime, overlap: timedelta, at_once: bool, now: datetime
) -> Rotated:
    """A further token; the valid one before ends after ``overlap``, or with all others ``at_once``.

    Raises UnknownCaller and RotationUnderWay.
    """
    tokens = await callers.tokens(tx, caller)
    if not tokens and not await _is_known(tx, caller):
        raise UnknownCaller(caller=caller)
    valid = [token for token in tokens if token.is_valid(now)]
    # Refused, not the oldest ended: that may be the one in use, and the newer one have reached nobody.
    if len(valid) >= _MOST_VALID and not at_once:
        raise RotationUnderWay(caller=caller, tokens=tuple(token.id for token in valid))
    issued = issue_token()
    await callers.add(tx, caller, issued, now, until)
    detail: dict[str, object] = {"caller": caller, "token": issued.id, "expires_at": until.isoformat()}
    ended = [token.id for token in tokens if at_once or not token.is_valid(now)]
    for token in ended:
        await callers.end(tx, token)
    if ended:
        detail["ended"] = ended
    before = None
    if valid and not at_once:
        (before,) = valid
        # Replicas' clocks differ: it may have been made at a time that has not come here, and ends no sooner than that.
        last = max(now + overlap, before.made_at + timedelta(microseconds=1))
        if last < before.expires_at:
            await callers.shorten(tx, before.id, last)
            (before,) = [token for token in await callers.tokens(tx, caller) if token.id == before.id]
        detail |= {"before": before.id, "before_expires_at": before.expires_at.isoformat()}
    await tx.change("caller.rotate", None, detail=detail)
    return Rotated(issued=issued, before=before)


async def remove_token(tx: Transaction, caller: str, token: str) -> None:
    """End one token. Raises UnknownToken."""
    if not any(one.id == token for one in await callers.tokens(tx, caller)):
        raise UnknownToken(caller=caller, token_id=token)
    await callers.end(tx, token)
    await tx.change("caller.token.remove", None, detail={"caller": caller, "ended": [token]})


async def remove(tx: Transaction, caller: str) -> bool:
    """Take a caller's own rights and end its tokens; does the seed still name it? Raises UnknownCaller."""
    held: list[Row] = (await callers.own_rights(tx)).get(subject_of_service(caller), [])
    tokens = [token.id for token in await callers.tokens(tx, caller)]
    if not held and not tokens:
        raise UnknownCaller(caller=caller)
    for token in tokens:
        await callers.end(tx, token)
    detail: dict[str, object] = {"caller": caller}
    if tokens:
        detail["ended"] = tokens
    await tx.change("caller.remove", None, ended=held, detail=detail)
    return await _is_known(tx, caller)


async def _is_known(tx: Transaction, caller: str) -> bool:
    """Does a row name it, the seed's or its own?"""
    return any(row.values[0] == subject_of_service(caller) for row in await tx.rows([SYSTEM_DOMAIN]))


async def _refuse_no_limit(tx: Transaction, model: Model, caller: str, rights: OwnRights) -> None:
    if rights.physicians is not None:
        everywhere = await seed_reach(tx, model, caller, rights.methods)
        if everywhere:
            raise CallerNotLimited(caller=caller, methods=tuple(everywhere))
