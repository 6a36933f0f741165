"""The order in which decisions arrive, ids that are given once, and whose answers were not recorded."""

from alembic import op

revision = "0008"
down_revision = "0006"

SCRIPT = """
-- What comes in meanwhile waits, so that nothing is counted by nobody.
LOCK TABLE decisions IN SHARE ROW EXCLUSIVE MODE;
-- What came into the decision log by one statement, of one process and day. Whoever reads in this order and goes on
-- later misses nothing: numbers are given under a lock that is held to the commit, so that a lower one never becomes
-- visible after a higher one.
CREATE TABLE decision_arrivals (
    arrival bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    replica text COLLATE "C" NOT NULL,
    day date NOT NULL,
    first_sequence bigint NOT NULL,
    last_sequence bigint NOT NULL,
    decisions bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX decision_arrivals_of ON decision_arrivals (replica, last_sequence);
CREATE INDEX decision_arrivals_day ON decision_arrivals (day);

-- Answers that were given and not recorded: one row for each caller and time without room.
CREATE TABLE decision_losses (
    replica text COLLATE "C" NOT NULL,
    caller text COLLATE "C" NOT NULL,
    -- Of this caller in this process, with these.
    lost_so_far bigint NOT NULL,
    lost bigint NOT NULL CHECK (lost > 0),
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (replica, caller, lost_so_far)
);

-- What is there came before all that is to come.
INSERT INTO decision_arrivals (replica, day, first_sequence, last_sequence, decisions)
SELECT replica, (at AT TIME ZONE 'UTC')::date AS day, min(sequence), max(sequence), count(*)
FROM decisions GROUP BY replica, day ORDER BY min(at), replica;

-- An id is given once: a process's rows come with sequences that no earlier ones spanned. The key of the table cannot
-- say so, as it holds the time too, by which days are divided.
CREATE FUNCTION decisions_arrive() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = our_schema, pg_temp AS
$$ DECLARE taken record;
   BEGIN
     PERFORM pg_advisory_xact_lock(4019715218);
     SELECT earlier.replica, earlier.first_sequence, earlier.last_sequence INTO taken
     FROM (SELECT replica, min(sequence) AS first, max(sequence) AS last FROM fresh GROUP BY replica) AS spans
     JOIN our_schema.decision_arrivals AS earlier
       ON earlier.replica = spans.replica
       AND earlier.last_sequence >= spans.first AND earlier.first_sequence <= spans.last
     LIMIT 1;
     IF FOUND OR EXISTS (SELECT FROM fresh GROUP BY replica, sequence HAVING count(*) > 1) THEN
       RAISE unique_violation USING MESSAGE = 'decisions of these ids are recorded';
     END IF;
     INSERT INTO our_schema.decision_arrivals (replica, day, first_sequence, last_sequence, decisions)
     SELECT replica, (at AT TIME ZONE 'UTC')::date AS day, min(sequence), max(sequence), count(*)
     FROM fresh GROUP BY replica, day ORDER BY min(sequence);
     RETURN NULL;
   END $$;
CREATE TRIGGER arrive AFTER INSERT ON decisions REFERENCING NEW TABLE AS fresh
FOR EACH STATEMENT EXECUTE FUNCTION decisions_arrive();

CREATE TRIGGER append_only BEFORE UPDATE ON decision_arrivals FOR EACH ROW EXECUTE FUNCTION log_is_append_only();
CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON decision_arrivals
FOR EACH STATEMENT EXECUTE FUNCTION log_is_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON decision_losses
FOR EACH ROW EXECUTE FUNCTION log_is_append_only();
CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON decision_losses
FOR EACH STATEMENT EXECUTE FUNCTION log_is_append_only();

-- As before, and what is said of the days that go goes with them.
CREATE OR REPLACE FUNCTION decisions_drop_before(day date) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = our_schema, pg_temp SET lock_timeout = '200ms' AS
$$ DECLARE part text; dropped integer := 0; cut date := least(day, current_date - 30);
   BEGIN
     PERFORM pg_advisory_xact_lock(4019715207);
     FOR part IN SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'decisions'::regclass LOOP
       IF to_date(right(part, 8), 'YYYYMMDD') < cut THEN
         EXECUTE format('DROP TABLE %s', part);
         dropped := dropped + 1;
       END IF;
     END LOOP;
     DELETE FROM our_schema.decision_arrivals WHERE decision_arrivals.day < cut;
     RETURN dropped;
   END $$;
REVOKE EXECUTE ON FUNCTION decisions_arrive() FROM PUBLIC;
"""


def upgrade() -> None:
    """Apply the statements above."""
    schema = op.get_bind().exec_driver_sql("SELECT quote_ident(current_schema())").scalar_one()
    # The driver takes one statement at a time; a semicolon inside $$ ends none.
    bodies = SCRIPT.replace("our_schema", schema).strip().split("$$")
    marked = [part if number % 2 else part.replace(";\n", ";\0") for number, part in enumerate(bodies)]
    for statement in "$$".join(marked).split(";\0"):
        op.get_bind().exec_driver_sql(statement.rstrip(";"))
