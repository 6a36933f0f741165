"""The change log as a chain, and the log of decisions."""

from alembic import op
from sqlalchemy import text

from policy_service.chain import START, Entry

revision = "0003"
down_revision = "0002"

CHAIN = """
-- When the last change was made: times in the log never go back, even if the clock does.
ALTER TABLE policy_revision ADD COLUMN changed_at timestamptz NOT NULL DEFAULT '-infinity';
UPDATE policy_revision SET changed_at = coalesce((SELECT max(at) FROM changes), '-infinity');
ALTER TABLE changes ADD COLUMN previous_hash bytea;
ALTER TABLE changes ADD COLUMN hash bytea;
"""

REST = """
ALTER TABLE changes ALTER COLUMN previous_hash SET NOT NULL;
ALTER TABLE changes ALTER COLUMN hash SET NOT NULL;
ALTER TABLE changes ADD CHECK (octet_length(previous_hash) = 32 AND octet_length(hash) = 32);

-- Whose access or invitation an entry is about; derived, so it cannot tell another story.
CREATE FUNCTION users_named(before jsonb, after jsonb, detail jsonb) RETURNS text[] LANGUAGE sql IMMUTABLE AS
$$ SELECT coalesce(array_agg(DISTINCT named), '{}') FROM (
     SELECT substr(subject, 6) FROM (
       SELECT row_ ->> 1 FROM jsonb_array_elements(before || after) AS row_
     ) AS subjects (subject) WHERE subject LIKE 'user:%'
     UNION ALL
     SELECT substr(subject, 13) FROM (
       SELECT row_ ->> 1 FROM jsonb_array_elements(before || after) AS row_
     ) AS subjects (subject) WHERE subject LIKE 'role:custom.%'
     UNION ALL
     SELECT detail ->> 'user' WHERE detail ? 'user'
   ) AS people (named) $$;
ALTER TABLE changes ADD COLUMN users text[] COLLATE "C" GENERATED ALWAYS AS (users_named(before, after, detail)) STORED;
CREATE INDEX changes_of_users ON changes USING gin (users);
CREATE INDEX changes_of_actor ON changes (actor, revision);
CREATE INDEX changes_of_kind ON changes (kind, revision);
CREATE INDEX changes_at ON changes (at);

-- The policy as it was: rows of an account that hold no more, beside rules_current, and the accounts in which somebody
-- ever held anything.
CREATE INDEX rules_ended ON rules (domain, until_revision) WHERE until_revision IS NOT NULL;
CREATE INDEX invitations_ever_of_user ON invitations (username, invited_at_revision);
CREATE INDEX rules_of_subject ON rules (v0, domain);

-- One row for each decision that was recorded, in a table for each day.
CREATE TABLE decisions (
    at timestamptz NOT NULL,
    replica text COLLATE "C" NOT NULL,
    sequence bigint NOT NULL,
    caller text COLLATE "C" NOT NULL,
    username text COLLATE "C" NOT NULL,
    physician text COLLATE "C" NOT NULL,
    action text COLLATE "C" NOT NULL,
    channel text COLLATE "C" NOT NULL,
    resource text COLLATE "C" NOT NULL,
    correlation_id text COLLATE "C" NOT NULL,
    allowed boolean NOT NULL,
    reason text COLLATE "C" NOT NULL,
    role text COLLATE "C" NOT NULL,
    revision bigint NOT NULL,
    PRIMARY KEY (replica, sequence, at)
) PARTITION BY RANGE (at);
CREATE INDEX decisions_at ON decisions (at, replica, sequence);
CREATE INDEX decisions_of_physician ON decisions (physician, at, replica, sequence);
CREATE INDEX decisions_of_user ON decisions (username, at, replica, sequence);
CREATE INDEX decisions_of_correlation ON decisions (correlation_id) WHERE correlation_id <> '';

-- What became of each process that records decisions.
CREATE TABLE decision_replicas (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    replica text COLLATE "C" NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    event text COLLATE "C" NOT NULL CHECK (event IN ('started', 'lost', 'ended', 'recovered')),
    -- The last sequence given out, and how many decisions were not recorded, as far as the event knows.
    last_sequence bigint NOT NULL DEFAULT 0,
    lost bigint NOT NULL DEFAULT 0
);
CREATE INDEX decision_replicas_of ON decision_replicas (replica, id);

-- The service may not create or drop tables; these it may call, and they do this one thing. Temporary objects come last
-- in their path: else a caller's own pg_inherits would be read, and what it calls be run, with the rights of the owner.
CREATE FUNCTION decisions_make_day(day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = our_schema, pg_temp AS
$$ DECLARE part text := 'decisions_' || to_char(day, 'YYYYMMDD');
   BEGIN
     IF to_regclass('our_schema.' || part) IS NOT NULL THEN
       RETURN;
     END IF;
     PERFORM pg_advisory_xact_lock(4019715207);
     IF to_regclass('our_schema.' || part) IS NULL THEN
       -- Attached, as making a partition in place would wait for every reader, a backup or a long verification too.
       EXECUTE format('CREATE TABLE our_schema.%I (LIKE our_schema.decisions)', part);
       EXECUTE format('ALTER TABLE our_schema.decisions ATTACH PARTITION our_schema.%I FOR VALUES FROM (%L) TO (%L)',
         part, day::text || ' 00:00:00+00', (day + 1)::text || ' 00:00:00+00');
       EXECUTE format('CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON our_schema.%I
         FOR EACH STATEMENT EXECUTE FUNCTION our_schema.log_is_append_only()', part);
     END IF;
   END $$;
-- Days that are over for longer than a month only: whoever takes over the service cannot wipe out what they did. Where
-- somebody reads for long it gives up at once, as everybody else would queue behind it.
CREATE FUNCTION decisions_drop_before(day date) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = our_schema, pg_temp SET lock_timeout = '200ms' AS
$$ DECLARE part text; dropped integer := 0;
   BEGIN
     PERFORM pg_advisory_xact_lock(4019715207);
     FOR part IN SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'decisions'::regclass LOOP
       IF to_date(right(part, 8), 'YYYYMMDD') < least(day, current_date - 30) THEN
         EXECUTE format('DROP TABLE %s', part);
         dropped := dropped + 1;
       END IF;
     END LOOP;
     RETURN dropped;
   END $$;
REVOKE EXECUTE ON FUNCTION decisions_make_day(date) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION decisions_drop_before(date) FROM PUBLIC;

-- Beyond the rights of the service's role: not even the owner rewrites a log by accident.
CREATE FUNCTION log_is_append_only() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON changes FOR EACH ROW EXECUTE FUNCTION log_is_append_only();
CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON changes FOR EACH STATEMENT EXECUTE FUNCTION log_is_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON decisions FOR EACH ROW EXECUTE FUNCTION log_is_append_only();
CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON decisions FOR EACH STATEMENT EXECUTE FUNCTION log_is_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON decision_replicas
FOR EACH ROW EXECUTE FUNCTION log_is_append_only();
CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON decision_replicas
FOR EACH STATEMENT EXECUTE FUNCTION log_is_append_only();
"""


def upgrade() -> None:
    """Chain the entries there are, then add the rest."""
    _run(CHAIN)
    _chain_what_is_there()
    schema = op.get_bind().exec_driver_sql("SELECT quote_ident(current_schema())").scalar_one()
    _run(REST.replace("our_schema", schema))


def _run(script: str) -> None:
    # The driver takes one statement at a time; a semicolon inside $$ ends none.
    bodies = script.strip().split("$$")
    marked = [part if number % 2 else part.replace(";\n", ";\0") for number, part in enumerate(bodies)]
    for statement in "$$".join(marked).split(";\0"):
        op.get_bind().exec_driver_sql(statement.rstrip(";"))


def _chain_what_is_there() -> None:
    connection, previous = op.get_bind(), START
    for found in connection.execute(text("SELECT * FROM changes ORDER BY revision")).mappings().all():
        entry = Entry(
            **{name: found[name] for name in ("revision", "at", "caller", "actor", "reason", "kind", "physician")},
            before=tuple(tuple(row) for row in found["before"]),
            after=tuple(tuple(row) for row in found["after"]),
            detail=found["detail"],
            mark=str(found["mark"]),
            previous=previous,
        )
        kept = entry.hash()
        connection.execute(
            text("UPDATE changes SET previous_hash = :previous, hash = :hash WHERE revision = :revision"),
            {"previous": previous, "hash": kept, "revision": entry.revision},
        )
        previous = kept
