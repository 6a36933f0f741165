"""Puts the built-in policy into the store."""

from collections.abc import Iterable, Mapping

from policy_service.decide import Model
from policy_service.seed.errors import RoleNameTaken
from policy_service.seed.guards import action_in_use
from policy_service.store import Store, Transaction, Written
from policy_service.vocabulary import ANY, Action, Origin, Row, name_in


async def put(transaction: Transaction, rows: Iterable[Row], kind: str, detail: Mapping[str, object]) -> None:
    """Make these the built-in rows; rows that stay are not touched, and without a difference nothing changes.

    Raises RoleNameTaken if a new built-in role bears the name of a custom one:
    holders of the custom role would silently gain its rules. Raises ActionInUse
    for an action that goes and that accounts or open invitations name.
    """
    wanted, held = set(rows), set(await transaction.seed_rows())
    if wanted == held:
        return
    taken = await transaction.custom_roles_among(new_roles(held, wanted))
    if taken:
        raise RoleNameTaken(roles=tuple(sorted(name_in(subject) for subject in taken)))
    if used := await transaction.uses_of(gone_actions(held, wanted)):
        raise action_in_use(used)
    await transaction.change(kind, None, ended=held - wanted, begun=wanted - held, origin=Origin.SEED, detail=detail)


def new_roles(held: Iterable[Row], wanted: Iterable[Row]) -> set[str]:
    """The roles, as subjects, that would get their first rules in all accounts. Rights of callers reach no account."""
    had, has = ({row.values[0] for row in rows if row.ptype == "p" and row.domain == ANY} for rows in (held, wanted))
    return has - had


def gone_actions(held: Iterable[Row], wanted: Iterable[Row]) -> set[Action]:
    """The actions that there would be no longer."""
    had, has = ({Action(row.values[0]) for row in rows if row.ptype == "a"} for rows in (held, wanted))
    return had - has


async def install(store: Store, rows: Iterable[Row], *, caller: str, actor: str, reason: str = "") -> Written:
    """Make these the built-in rows, in one change. Raises what ``put`` raises."""
    async with store.transaction(caller=caller, actor=actor, reason=reason, patient=True) as transaction:
        await put(transaction, rows, "seed.install", {})
    return transaction.written


async def install_first(store: Store, rows: Iterable[Row], model: Model) -> Written:
    """Install the seed if the store holds no built-in rows yet; else leave them as they are."""
    async with store.transaction(caller="local", actor="ops", reason="first start", patient=True) as transaction:
        if not await transaction.seed_rows():
            detail = {"model": model.text}
            await transaction.change("seed.install", None, begun=rows, origin=Origin.SEED, detail=detail)
    return transaction.written


async def install_actions(store: Store, rows: Iterable[Row]) -> Written | None:
    """Tell the store what actions there are, where a release installed the seed to whose code they belonged.

    None where it knows.
    """
    async with store.reading() as look:
        held = await look.rows([ANY])
    if not held or any(row.ptype == "a" for row in held):
        return None
    async with store.transaction(
        caller="local", actor="ops", reason="actions are data from here on", patient=True
    ) as transaction:
        if not any(row.ptype == "a" for row in await transaction.rows([ANY])):
            begun = [row for row in rows if row.ptype == "a"]
            await transaction.change("actions.install", None, begun=begun, origin=Origin.SEED)
    return transaction.written


async def record_model(store: Store, model: Model) -> None:
    """Write down that the rows are read by this model from now on, if another was the last.

    So a question about the past is decided by the model of that time.
    """
    async with store.reading() as look:
        if await look.model_at(look.revision) == model.text:
            return
    async with store.transaction(caller="local", actor="ops", reason="model file changed", patient=True) as transaction:
        if await transaction.model() != model.text:
            await transaction.change("model.install", None, detail={"model": model.text})
