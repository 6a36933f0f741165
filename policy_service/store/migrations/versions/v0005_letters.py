"""Letters that are set aside, whose fault a delay is, and what their number is limited by."""

from alembic import op

revision = "0005"
down_revision = "0004"

SQL = """
ALTER TABLE outbox DROP CONSTRAINT outbox_state_check;
-- 'failed': it could not be composed or handed over for a reason of its own, and waits for somebody to resend it.
ALTER TABLE outbox ADD CONSTRAINT outbox_state_check
CHECK (state IN ('queued', 'delayed', 'sent', 'bounced', 'dropped', 'failed'));
-- The last try failed by us or our mail server, not by the address or the recipient.
ALTER TABLE outbox ADD COLUMN our_fault boolean NOT NULL DEFAULT false;

-- To whom, for which account and when: letters are counted by these. An invitation's address may change after it.
ALTER TABLE outbox ADD COLUMN physician text COLLATE "C";
ALTER TABLE outbox ADD COLUMN address text COLLATE "C";
ALTER TABLE outbox ADD COLUMN queued_at timestamptz;
UPDATE outbox SET physician = i.physician, address = lower(i.email), queued_at = i.invited_at
FROM invitations i WHERE i.id = outbox.invitation;
ALTER TABLE outbox ALTER COLUMN address SET NOT NULL;
ALTER TABLE outbox ALTER COLUMN queued_at SET NOT NULL;
CREATE INDEX outbox_of_physician ON outbox (physician, queued_at);
CREATE INDEX outbox_of_address ON outbox (address, queued_at);
CREATE INDEX outbox_not_done ON outbox (state) WHERE state IN ('queued', 'delayed', 'failed');
"""


def upgrade() -> None:
    """Widen the outbox."""
    # The driver takes one statement at a time.
    for statement in SQL.strip().split(";\n"):
        op.execute(statement.rstrip(";"))
