"""The policy with its history, the change log, physicians and users."""

from alembic import op

revision = "0001"
down_revision = None

SQL = """
-- One row. Whoever writes policy locks and raises it first, so it orders all
-- changes, and no follower can see a later change without an earlier one.
CREATE TABLE policy_revision (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    revision bigint NOT NULL CHECK (revision >= 0),
    -- Another one for each change: two histories may reach one number, after a backup was restored, but not one mark.
    mark uuid NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO policy_revision (revision) VALUES (0);

-- Rows of policy in the standard Casbin columns, each with the revisions in
-- which it holds: from_revision <= revision < until_revision.
CREATE TABLE rules (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ptype text COLLATE "C" NOT NULL CHECK (ptype IN ('p', 'g')),
    v0 text COLLATE "C" NOT NULL CHECK (v0 <> ''),
    v1 text COLLATE "C" NOT NULL CHECK (v1 <> ''),
    v2 text COLLATE "C" NOT NULL,
    v3 text COLLATE "C" NOT NULL DEFAULT '',
    v4 text COLLATE "C" NOT NULL DEFAULT '',
    v5 text COLLATE "C" NOT NULL DEFAULT '',
    origin text COLLATE "C" NOT NULL CHECK (origin IN ('seed', 'api')),
    domain text COLLATE "C" GENERATED ALWAYS AS (CASE ptype WHEN 'p' THEN v1 ELSE v2 END) STORED,
    from_revision bigint NOT NULL,
    until_revision bigint CHECK (until_revision > from_revision),
    CHECK (ptype = 'g' OR v3 IN ('allow', 'deny'))
);
-- A grant stored twice would survive its removal.
CREATE UNIQUE INDEX rules_current ON rules (domain, ptype, v0, v1, v2, v3, v4, v5) WHERE until_revision IS NULL;
-- What changed since a revision.
CREATE INDEX rules_from ON rules (from_revision);
CREATE INDEX rules_until ON rules (until_revision) WHERE until_revision IS NOT NULL;

-- The current policy as the common Casbin adapters expect it.
CREATE VIEW casbin_rule AS
SELECT id, ptype, v0, v1, v2, nullif(v3, '') AS v3, nullif(v4, '') AS v4, nullif(v5, '') AS v5
FROM rules
WHERE until_revision IS NULL;

-- PostgreSQL would let an adapter write through the view, past history and change log.
CREATE FUNCTION casbin_rule_is_read_only() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'casbin_rule is for reading; policy is changed through the service'; END $$;
CREATE TRIGGER read_only INSTEAD OF INSERT OR UPDATE OR DELETE ON casbin_rule
FOR EACH ROW EXECUTE FUNCTION casbin_rule_is_read_only();

-- One entry for each revision: no entry, no change.
CREATE TABLE changes (
    revision bigint PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    caller text COLLATE "C" NOT NULL,
    actor text COLLATE "C" NOT NULL,
    reason text NOT NULL,
    kind text COLLATE "C" NOT NULL,
    physician text COLLATE "C",
    before jsonb NOT NULL,
    after jsonb NOT NULL,
    mark uuid NOT NULL
);
CREATE INDEX changes_of_physician ON changes (physician, revision) WHERE physician IS NOT NULL;

CREATE TABLE users (
    username text COLLATE "C" PRIMARY KEY,
    email text COLLATE "C" UNIQUE,
    created_at_revision bigint NOT NULL
);

CREATE TABLE physicians (
    physician text COLLATE "C" PRIMARY KEY,
    owner text COLLATE "C" NOT NULL REFERENCES users (username),
    display_name text NOT NULL,
    registered_at_revision bigint NOT NULL
);
"""


def upgrade() -> None:
    """Create everything."""
    # The driver takes one statement at a time.
    for statement in SQL.strip().split(";\n"):
        op.execute(statement.rstrip(";"))
