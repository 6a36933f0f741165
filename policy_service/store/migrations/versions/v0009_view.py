"""The view for Casbin adapters gets the column that some of them want besides."""

from alembic import op

revision = "0009"
down_revision = "0008"

SQL = """
-- typeorm's entity has v0 to v6, and names every column; the others take no notice of one more at the end.
CREATE OR REPLACE VIEW casbin_rule AS
SELECT id, ptype, v0, v1, v2, nullif(v3, '') AS v3, nullif(v4, '') AS v4, nullif(v5, '') AS v5,
       NULL::text COLLATE "C" AS v6
FROM rules
WHERE until_revision IS NULL
"""


def upgrade() -> None:
    """Add the column."""
    op.execute(SQL)
