"""Whose a name and an address are, credentials as a fact of their own, addresses that change, answers that age."""

from alembic import op

revision = "0006"
down_revision = "0005"

SQL = """
-- The table holds whom the service knows. A name or an address that an open invitation only reserves stands in the
-- invitation, which knows when it ends.
DELETE FROM users WHERE active_since_revision IS NULL;
ALTER TABLE users ALTER COLUMN active_since_revision SET NOT NULL;
-- When their credentials were set up; NULL for one who accepted and has not finished.
ALTER TABLE users ADD COLUMN set_up_revision bigint;
UPDATE users SET set_up_revision = active_since_revision;
-- Looked up by what a name looks like (policy_service/vocabulary/names.py); not unique, since older names may collide.
CREATE INDEX users_folded ON users (lower(username));
CREATE INDEX users_look ON users (lower(replace(translate(username, 'I10', 'llo'), 'rn', 'm')));
CREATE INDEX physicians_folded ON physicians (lower(physician));
CREATE INDEX physicians_look ON physicians (lower(replace(translate(physician, 'I10', 'llo'), 'rn', 'm')));

ALTER TABLE invitations DROP CONSTRAINT invitations_state_check;
ALTER TABLE invitations ADD CONSTRAINT invitations_state_check
CHECK (state IN ('pending', 'accepted', 'cancelled', 'expired', 'withdrawn', 'declined'));
CREATE INDEX invitations_reserving_folded ON invitations (lower(username)) WHERE state = 'pending';
CREATE INDEX invitations_reserving_look ON invitations
    (lower(replace(translate(username, 'I10', 'llo'), 'rn', 'm'))) WHERE state = 'pending';
CREATE INDEX invitations_reserving_email ON invitations (lower(email)) WHERE state = 'pending';

-- A wish for another address, until it is confirmed from there.
CREATE TABLE address_changes (
    id text COLLATE "C" PRIMARY KEY,
    username text COLLATE "C" NOT NULL,
    email text COLLATE "C" NOT NULL,
    -- The address before, which is told; NULL where there was none.
    before text COLLATE "C",
    state text COLLATE "C" NOT NULL CHECK (state IN ('pending', 'confirmed', 'replaced')),
    asked_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    token_hash bytea NOT NULL UNIQUE CHECK (octet_length(token_hash) = 32),
    asked_at_revision bigint NOT NULL,
    closed_at_revision bigint,
    CHECK ((state = 'pending') = (closed_at_revision IS NULL))
);
CREATE UNIQUE INDEX address_changes_open ON address_changes (username) WHERE state = 'pending';
CREATE INDEX address_changes_asked ON address_changes (username, asked_at);

-- What an e-mail is for, and the change of address that some are about instead of an invitation.
ALTER TABLE outbox ADD COLUMN purpose text COLLATE "C" NOT NULL DEFAULT 'invitation'
CHECK (purpose IN ('invitation', 'setup', 'address', 'address_notice'));
ALTER TABLE outbox ADD COLUMN address_change text COLLATE "C" REFERENCES address_changes (id);
ALTER TABLE outbox ALTER COLUMN invitation DROP NOT NULL;
ALTER TABLE outbox ADD CHECK ((invitation IS NULL) <> (address_change IS NULL));
ALTER TABLE outbox ADD CHECK ((physician IS NULL) = (invitation IS NULL));
ALTER TABLE outbox ADD CHECK ((purpose IN ('invitation', 'setup')) = (invitation IS NOT NULL));
CREATE UNIQUE INDEX outbox_of_address_change ON outbox (address_change, purpose);

-- What a kept answer is about, so that it is not given again once that has changed. NULL in answers kept before.
ALTER TABLE idempotency ADD COLUMN revision bigint;
ALTER TABLE idempotency ADD COLUMN physician text COLLATE "C";
ALTER TABLE idempotency ADD COLUMN users text[] COLLATE "C";
ALTER TABLE idempotency ADD COLUMN role text COLLATE "C";
ALTER TABLE idempotency ADD COLUMN stands_until timestamptz;
"""


def upgrade() -> None:
    """Add what is new."""
    # The driver takes one statement at a time.
    for statement in SQL.strip().split(";\n"):
        op.execute(statement.rstrip(";"))
