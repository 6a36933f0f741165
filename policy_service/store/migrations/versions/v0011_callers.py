"""Callers' tokens, and when each was seen last; rights of single callers beside the seed's."""

from alembic import op

revision = "0011"
down_revision = "0010"

SQL = """
-- What is kept of a token is its SHA-256. A row stays when its token is ended, so that none comes back by another door.
CREATE TABLE caller_tokens (
    id text COLLATE "C" PRIMARY KEY,
    caller text COLLATE "C" NOT NULL,
    token_hash bytea NOT NULL UNIQUE CHECK (octet_length(token_hash) = 32),
    made_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL CHECK (expires_at > made_at),
    made_at_revision bigint NOT NULL,
    -- The last one that made, shortened or ended it: followers read what is of later ones than theirs.
    changed_at_revision bigint NOT NULL CHECK (changed_at_revision >= made_at_revision),
    ended_at_revision bigint CHECK (ended_at_revision > made_at_revision AND ended_at_revision = changed_at_revision)
);
CREATE INDEX caller_tokens_of ON caller_tokens (caller) WHERE ended_at_revision IS NULL;
CREATE INDEX caller_tokens_changed ON caller_tokens (changed_at_revision);

-- No policy, and no entry vouches for it: written by all replicas, off the answering path.
CREATE TABLE caller_token_uses (
    token text COLLATE "C" PRIMARY KEY REFERENCES caller_tokens (id),
    used_at timestamptz NOT NULL
);

-- What a single caller may call stands beside the roles of the seed, which does not change it.
ALTER TABLE rules ADD CONSTRAINT rules_own_right_check
CHECK (ptype <> 'p' OR v1 <> 'system' OR (origin = 'api') = starts_with(v0, 'service:'))
"""


def upgrade() -> None:
    """Add what is new."""
    # The driver takes one statement at a time.
    for statement in SQL.strip().split(";\n"):
        op.execute(statement)
