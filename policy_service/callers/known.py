"""Which callers there are: by the seed, by rights of their own, by tokens."""

from collections.abc import Iterable
from dataclasses import dataclass

from policy_service.callers.errors import UnknownCaller
from policy_service.decide import EVERYWHERE, Callers, Model
from policy_service.store import Reading, Transaction, callers
from policy_service.vocabulary import SYSTEM_DOMAIN, OwnRights, Row, is_own_right, name_in, subject_of_service


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """A method that a caller may call: in every account or in those that it is named for; by the seed or by itself."""

    method: str
    limited: bool
    by_seed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A caller: by what it is one, and what it may call where that was asked."""

    caller: str
    in_seed: bool
    own: OwnRights
    tokens: tuple[callers.Token, ...]
    rights: tuple[Right, ...] = ()


async def known_callers(look: Reading) -> list[Known]:
    """All of them, in byte order."""
    rows = await look.rows([SYSTEM_DOMAIN])
    tokens: dict[str, list[callers.Token]] = {}
    for token in await callers.tokens(look):
        tokens.setdefault(token.caller, []).append(token)
    own: dict[str, list[Row]] = {}
    for row in rows:
        if is_own_right(row):
            own.setdefault(name_in(row.values[0]), []).append(row)
    seeded = _seeded(rows)
    return [
        Known(
            caller=caller,
            in_seed=caller in seeded,
            own=OwnRights.of(own.get(caller, ())),
            tokens=tuple(tokens.get(caller, ())),
        )
        for caller in sorted({*seeded, *own, *tokens})
    ]


async def one_caller(look: Reading, model: Model, caller: str, methods: Iterable[str]) -> Known:
    """One with what it may call of ``methods``, by Casbin's word. Raises UnknownCaller."""
    rows, tokens = await look.rows([SYSTEM_DOMAIN]), tuple(await callers.tokens(look, caller))
    own = [row for row in rows if is_own_right(row) and row.values[0] == subject_of_service(caller)]
    in_seed = caller in _seeded(rows)
    if not tokens and not own and not in_seed:
        raise UnknownCaller(caller=caller)
    seed = Callers(model, (row for row in rows if not is_own_right(row)))
    both = seed.knowing(own, seed.credentials)
    reaches = ((method, seed.reach(caller, method), both.reach(caller, method)) for method in sorted(methods))
    rights = tuple(
        Right(method=method, limited=reach.is_limited, by_seed=by_seed is not None and by_seed is EVERYWHERE)
        for method, by_seed, reach in reaches
        if reach is not None
    )
    return Known(caller=caller, in_seed=in_seed, own=OwnRights.of(own), tokens=tokens, rights=rights)


async def seed_reach(source: Reading | Transaction, model: Model, caller: str, methods: Iterable[str]) -> list[str]:
    """Of these methods those that the seed lets a caller call everywhere."""
    seed = Callers(model, (row for row in await source.rows([SYSTEM_DOMAIN]) if not is_own_right(row)))
    return [method for method in sorted(methods) if seed.reach(caller, method) is EVERYWHERE]


def _seeded(rows: Iterable[Row]) -> set[str]:
    return {name_in(row.values[0]) for row in rows if row.ptype == "g" and row.values[0].startswith("service:")}
