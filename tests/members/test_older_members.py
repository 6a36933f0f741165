"""What older releases wrote about people means the same after the schema's upgrade."""

import asyncpg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from policy_service.chain import Signer
from policy_service.store import migrate
from tests.support.older import older_database

OLD = """
INSERT INTO users (username, email, created_at_revision, active_since_revision) VALUES
  ('olive', NULL, 1, 1), ('mia', 'mia@clinic.example', 1, 2), ('BEN', NULL, 1, 1), ('ben', NULL, 1, 1),
  ('nina', 'nina@clinic.example', 3, NULL), ('gone', 'gone@clinic.example', 3, NULL);
INSERT INTO physicians (physician, owner, display_name, registered_at_revision) VALUES ('dr-a', 'olive', '', 1);
INSERT INTO invitations (id, physician, username, email, roles, actions, state, invited_by, invited_at, expires_at,
                         token_hash, invited_at_revision)
VALUES ('inv-1', 'dr-a', 'nina', 'nina@clinic.example', '{data_entry}', '{}', 'pending', 'olive', now(),
        now() + interval '7 days', sha256('a'), 3),
       ('inv-2', 'dr-a', 'gone', 'gone@clinic.example', '{data_entry}', '{}', 'pending', 'olive', now(),
        now() - interval '1 day', sha256('b'), 3);
INSERT INTO outbox (invitation, generation, state, message_id, next_try) VALUES
  ('inv-1', 1, 'sent', '<1>', now()), ('inv-2', 1, 'sent', '<2>', now());
INSERT INTO idempotency (caller, key, digest, answer) VALUES ('page', 'k', '\\x01', '\\x02');
"""


async def test_users_of_before_have_credentials_and_the_invited_only_their_invitation(postgres):
    async with older_database(postgres, "0003") as dsn:
        connection = await asyncpg.connect(dsn)
        await connection.execute(OLD)
        await migrate(dsn, Signer(Ed25519PrivateKey.generate()).sign_bytes)
        users = await connection.fetch("SELECT username, email, set_up_revision FROM users ORDER BY username")
        assert [tuple(user) for user in users] == [
            ("BEN", None, 1), ("ben", None, 1), ("mia", "mia@clinic.example", 2), ("olive", None, 1),
        ]  # fmt: skip
        reserved = await connection.fetch("SELECT username, email, state FROM invitations ORDER BY id")
        assert [tuple(one) for one in reserved] == [
            ("nina", "nina@clinic.example", "pending"), ("gone", "gone@clinic.example", "pending"),
        ]  # fmt: skip
        assert [one["purpose"] for one in await connection.fetch("SELECT purpose FROM outbox")] == ["invitation"] * 2
        assert await connection.fetchval("SELECT revision IS NULL FROM idempotency")
        await connection.close()
