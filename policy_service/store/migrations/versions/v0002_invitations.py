"""Invitations, their e-mails, and answers kept for idempotency keys."""

from alembic import op

revision = "0002"
down_revision = "0001"

SQL = """
-- What else a change did, beside rows of policy: an invitation sent, cancelled ...
ALTER TABLE changes ADD COLUMN detail jsonb NOT NULL DEFAULT '{}';

-- An address belongs to one user, however it is written.
ALTER TABLE users DROP CONSTRAINT users_email_key;
CREATE UNIQUE INDEX users_email ON users (lower(email));
-- A user who has credentials; NULL for one who was invited and has not accepted yet.
ALTER TABLE users ADD COLUMN active_since_revision bigint;
UPDATE users SET active_since_revision = created_at_revision;

CREATE TABLE invitations (
    id text COLLATE "C" PRIMARY KEY,
    physician text COLLATE "C" NOT NULL REFERENCES physicians (physician),
    username text COLLATE "C" NOT NULL,
    email text COLLATE "C" NOT NULL,
    roles text[] COLLATE "C" NOT NULL,
    actions text[] COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL CHECK (state IN ('pending', 'accepted', 'cancelled', 'expired', 'withdrawn')),
    invited_by text COLLATE "C" NOT NULL,
    invited_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    -- Counts the links sent; only the last one works.
    generation integer NOT NULL DEFAULT 1,
    token_hash bytea NOT NULL UNIQUE CHECK (octet_length(token_hash) = 32),
    invited_at_revision bigint NOT NULL,
    closed_at_revision bigint,
    CHECK ((cardinality(roles) > 0) <> (cardinality(actions) > 0)),
    CHECK ((state = 'pending') = (closed_at_revision IS NULL))
);
CREATE UNIQUE INDEX invitations_open ON invitations (physician, username) WHERE state = 'pending';
CREATE INDEX invitations_of_physician ON invitations (physician, invited_at_revision DESC);
CREATE INDEX invitations_of_user ON invitations (username) WHERE state = 'pending';

-- One e-mail for each link. The link itself is not here: it is made when the e-mail is sent.
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    invitation text COLLATE "C" NOT NULL REFERENCES invitations (id),
    generation integer NOT NULL,
    state text COLLATE "C" NOT NULL CHECK (state IN ('queued', 'delayed', 'sent', 'bounced', 'dropped')),
    message_id text COLLATE "C" NOT NULL UNIQUE,
    attempts integer NOT NULL DEFAULT 0,
    next_try timestamptz NOT NULL,
    leased_until timestamptz,
    words text NOT NULL DEFAULT '',
    UNIQUE (invitation, generation)
);
CREATE INDEX outbox_waiting ON outbox (next_try) WHERE state IN ('queued', 'delayed');

CREATE TABLE idempotency (
    caller text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    digest bytea NOT NULL,
    answer bytea NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (caller, key)
);
CREATE INDEX idempotency_at ON idempotency (at);
"""


def upgrade() -> None:
    """Add the tables."""
    # The driver takes one statement at a time.
    for statement in SQL.strip().split(";\n"):
        op.execute(statement.rstrip(";"))
