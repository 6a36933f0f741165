"""What actions there are stands in rows beside the rules: one of type ``a`` each."""

from alembic import op

revision = "0010"
down_revision = "0009"

SQL = """
ALTER TABLE rules DROP CONSTRAINT rules_ptype_check;
ALTER TABLE rules ADD CONSTRAINT rules_ptype_check CHECK (ptype IN ('p', 'g', 'a'));
ALTER TABLE rules DROP CONSTRAINT rules_check1;
ALTER TABLE rules ADD CONSTRAINT rules_effect_check CHECK (ptype <> 'p' OR v3 IN ('allow', 'deny'));
-- An action is one in every account: a release that knows no such rows takes them for grants of nobody in none.
ALTER TABLE rules ADD CONSTRAINT rules_action_check CHECK (ptype <> 'a' OR (v2 = '*' AND v3 <> ''));

-- Casbin's libraries know p and g; some refuse a type of row that their model does not define.
CREATE OR REPLACE VIEW casbin_rule AS
SELECT id, ptype, v0, v1, v2, nullif(v3, '') AS v3, nullif(v4, '') AS v4, nullif(v5, '') AS v5,
       NULL::text COLLATE "C" AS v6
FROM rules
WHERE until_revision IS NULL AND ptype <> 'a'
"""


def upgrade() -> None:
    """Let the rows in, and keep them out of the view."""
    # The driver takes one statement at a time.
    for statement in SQL.strip().split(";\n"):
        op.execute(statement)
