"""What the service's own database role may do: append to the logs, never rewrite them.

The owner of the tables migrates; the service connects as another role that
can do what is listed here and nothing else.
"""

import re
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from policy_service.errors import StartError

SERVICE_ROLE: Final = "policy_service"
"""The role's name where the service makes it itself: in the embedded server."""

_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}", re.ASCII)

_MAKE: Final = """
DO $$ BEGIN CREATE ROLE {role} LOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$
"""
_ALLOW: Final = """
REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {role};
GRANT USAGE ON SCHEMA {schema} TO {role};
GRANT SELECT ON alembic_version, casbin_rule TO {role};
GRANT SELECT, UPDATE ON policy_revision TO {role};
GRANT SELECT, INSERT, UPDATE (until_revision) ON rules TO {role};
GRANT SELECT, INSERT ON changes, decisions, decision_replicas, decision_losses, physicians TO {role};
GRANT SELECT ON decision_arrivals TO {role};
GRANT SELECT, INSERT, UPDATE ON invitations, outbox, address_changes TO {role};
GRANT SELECT, INSERT, UPDATE (expires_at, changed_at_revision, ended_at_revision) ON caller_tokens TO {role};
GRANT SELECT, INSERT, UPDATE ON caller_token_uses TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON users TO {role};
GRANT SELECT, INSERT, DELETE ON idempotency TO {role};
GRANT EXECUTE ON FUNCTION decisions_make_day(date), decisions_drop_before(date) TO {role};
"""
_SCHEMA: Final = "SELECT quote_ident(current_schema())"
# Members of the owner's role, and superusers, who are members of all, are the owner; who may create functions beside
# ours could have one of ours call them.
_IS_OWNER: Final = "SELECT pg_has_role($1, current_user, 'MEMBER')"
_MAY_CREATE: Final = "SELECT has_schema_privilege($1, current_schema(), 'CREATE')"
_EXISTS: Final = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)"


async def allow_service(dsn: str, role: str, *, make: bool = False) -> None:
    """Give a role what the service needs, and take what it does not; ``make`` the role if there is none.

    ``dsn`` is the owner's. Raises StartError for a role that cannot be used.
    """
    if not _NAME.fullmatch(role):
        raise StartError(f"{role!r} is not a role's name: a-z 0-9 _, at most 63")
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        if make:
            await connection.execute(_MAKE.format(role=role))
        elif not await connection.fetchval(_EXISTS, role):
            raise StartError(f"The database has no role {role}; make it first: CREATE ROLE {role} LOGIN PASSWORD '…'")
        if await connection.fetchval(_IS_OWNER, role):
            raise StartError(
                f"{role} owns the tables, is a member of their owner or a superuser; the service should connect as "
                "another role"
            )
        schema = await connection.fetchval(_SCHEMA)
        if await connection.fetchval(_MAY_CREATE, role):
            raise StartError(
                f"{role} may create objects in the schema {schema}, and with them rewrite a log; first: "
                f"REVOKE CREATE ON SCHEMA {schema} FROM {role}, PUBLIC"
            )
        async with connection.transaction():
            await connection.execute(_ALLOW.format(role=role, schema=schema))
    except asyncpg.PostgresError as fault:
        raise StartError(f"The role {role} cannot be given its rights: {fault}") from fault
    finally:
        await connection.close()


def as_role(dsn: str, role: str) -> str:
    """The same address for another role, without a password: for the embedded server's socket."""
    parts = urlsplit(dsn)
    return urlunsplit(parts._replace(netloc=f"{role}@{parts.netloc.rpartition('@')[2]}"))
