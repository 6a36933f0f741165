"""The change log stays one chain whoever writes, and vouches for users, physicians and invitations too."""

from alembic import op

revision = "0004"
down_revision = "0003"

SQL = """
-- What no release may do, whatever it read: the lock on policy_revision is held, and this look is newer than the wait.
-- Both are errors that a service takes for a database that cannot be written to now: nothing was changed, try again.
CREATE FUNCTION changes_are_one_chain() RETURNS trigger LANGUAGE plpgsql AS
$$ DECLARE head bytea;
   BEGIN
     IF NOT NEW.detail ? 'records' THEN
       RAISE EXCEPTION 'this release is older than schema 0004: it can read, and no longer write'
       USING ERRCODE = 'read_only_sql_transaction';
     END IF;
     SELECT hash INTO head FROM changes ORDER BY revision DESC LIMIT 1;
     IF NEW.previous_hash <> coalesce(head, decode(repeat('00', 32), 'hex')) THEN
       RAISE EXCEPTION 'revision % would not follow the log''s last entry', NEW.revision
       USING ERRCODE = 'serialization_failure';
     END IF;
     RETURN NEW;
   END $$;
CREATE TRIGGER one_chain BEFORE INSERT ON changes FOR EACH ROW EXECUTE FUNCTION changes_are_one_chain();
-- Nothing is written before it is stated what the log was until now; store/stating.py takes this away again.
CREATE FUNCTION changes_wait_for_statement() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN
     RAISE EXCEPTION 'the migration to schema 0004 is not complete: run policy-service migrate'
     USING ERRCODE = 'read_only_sql_transaction';
   END $$;
CREATE TRIGGER wait_for_statement BEFORE INSERT ON changes
FOR EACH ROW WHEN (NEW.kind <> 'log.statement') EXECUTE FUNCTION changes_wait_for_statement();
"""


def upgrade() -> None:
    """Add the triggers."""
    # The driver takes one statement at a time; a semicolon inside $$ ends none.
    bodies = SQL.strip().split("$$")
    marked = [part if number % 2 else part.replace(";\n", ";\0") for number, part in enumerate(bodies)]
    for statement in "$$".join(marked).split(";\0"):
        op.get_bind().exec_driver_sql(statement.rstrip(";"))
