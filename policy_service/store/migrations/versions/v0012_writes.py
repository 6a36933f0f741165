"""A writer finds what changed in an account since a revision, without looking at the rest of it."""

from alembic import op

revision = "0012"
down_revision = "0011"

SQL = """
CREATE INDEX rules_begun ON rules (domain, from_revision) WHERE until_revision IS NULL
"""


def upgrade() -> None:
    """Add the index; beside it stands rules_ended, by the revision in which a row ended."""
    op.execute(SQL)
