"""The database as the service needs it: reachable, of this release's schema, with a policy in it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import structlog

from policy_service.audit import sign_statement
from policy_service.decide import Model, read_model
from policy_service.errors import PolicyError, StartError
from policy_service.policy_text import read_seed
from policy_service.rpc import (
    contract_methods,
)
from policy_service.seed import install
from policy_service.settings import Settings
from policy_service.store import (
    SERVICE_ROLE,
    Caps,
    Store,
    StoreUnavailable,
    allow_service,
    as_role,
    connect_store,
    embedded_postgres,
    has_embedded,
    migrate,
    probe,
    schema_is_current,
)
from policy_service.vocabulary import Row

log = structlog.get_logger(__name__)


@asynccontextmanager
async def open_store(
    settings: Settings, *, migrating: bool = False, service_role: str = "", existing: bool = False
) -> AsyncIterator[Store]:
    """The database, migrated and seeded if it is our own or ``migrating`` says so; an ``existing`` one as it is.

    A migration gives ``service_role`` what the service needs. In the embedded
    server the service uses a role of its own, which cannot rewrite a log.

    Raises StartError when it cannot be used as it is.
    """
    model, seed = read_policy(settings)
    async with AsyncExitStack() as stack:
        embedded = settings.database_url is None
        if embedded and service_role:
            raise StartError("--service-role is for a database of POLICY_DATABASE_URL; the embedded one has its own.")
        if embedded and existing and not has_embedded(settings.data_dir):
            raise StartError(f"There is no database in POLICY_DATA_DIR {settings.data_dir}; none was made.")
        own = embedded and not existing
        if settings.database_url is None:
            dsn = await stack.enter_async_context(embedded_postgres(settings.data_dir))
        else:
            dsn = settings.database_url.get_secret_value()
        try:
            await _probe(dsn)
            if migrating or own:
                before, after = await migrate(dsn, partial(sign_statement, settings))
                if before != after:
                    log.info("schema migrated", before=before, after=after)
                if role := SERVICE_ROLE if embedded else service_role:
                    await allow_service(dsn, role, make=embedded)
            elif not await schema_is_current(dsn):
                raise StartError("The database's schema is not this release's: run 'policy-service migrate'.")
            if embedded:
                dsn = as_role(dsn, SERVICE_ROLE)
            store = await stack.enter_async_context(
                connect_store(dsn, caps=_caps(settings), write_seconds=settings.write_seconds)
            )
            if migrating or own:
                await install.install_first(store, seed, model)
                await install.install_actions(store, seed)
        except PolicyError as fault:
            raise StartError(unreachable(settings, fault)) from fault
        yield store


def read_policy(settings: Settings) -> tuple[Model, tuple[Row, ...]]:
    """The model and the seed; raises BrokenPolicy, naming file, line and fault."""
    return read_model(settings.model_file), read_seed(settings.seed_file, methods=contract_methods())


def _caps(settings: Settings) -> Caps:
    return Caps(
        roles=settings.max_roles_per_account,
        rules=settings.max_rules_per_account,
        members=settings.max_members_per_account,
    )


async def _probe(dsn: str) -> None:
    try:
        await probe(dsn)
    except (ValueError, StoreUnavailable) as fault:
        if isinstance(fault, StoreUnavailable) and not isinstance(fault.__cause__, ValueError):
            raise
        # Not even as the cause: the driver's words repeat the address, and with it the password.
        raise StartError("POLICY_DATABASE_URL is not an address of the form postgresql://…") from None


def unreachable(settings: Settings, fault: PolicyError) -> str:
    """Which database cannot be used, and why, without the driver's words."""
    place = "the embedded database" if settings.database_url is None else "the database of POLICY_DATABASE_URL"
    cause: Any = fault.__cause__
    return f"{place} cannot be used: {type(cause).__name__ if cause else fault}"
