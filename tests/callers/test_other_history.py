"""A restore brings no token back that a living replica knows to have ended, and none of the lost history's is known."""

from datetime import UTC, datetime, timedelta

import pytest

from policy_service import callers
from policy_service.vocabulary import Credentials, KnownToken
from tests.replicate.test_follower import execute
from tests.support.accounts import grant, reached, register
from tests.support.callers import added, bearer
from tests.support.patience import until
from tests.support.rpc import Refused, question
from tests.whole.test_foreign_history import BACK

CHECK = ("Check", question("olive", "dr-a", "claim:view"))
LOSE = (
    "DELETE FROM caller_token_uses; DELETE FROM caller_tokens WHERE made_at_revision > {0};"
    "UPDATE caller_tokens SET ended_at_revision = NULL, changed_at_revision = made_at_revision, "
    "expires_at = made_at + interval '1 day';"
)


async def asked(wire, token) -> str:
    try:
        await wire(*CHECK, metadata=bearer(token))
    except Refused as refused:
        return refused.facts.get("found", refused.reason)
    return "answered"


async def test_a_restore_revives_no_token_that_a_living_replica_knew_to_have_ended(app, wire, store, database):
    await register(app, "dr-a", "olive")
    ended, shortened, kept = [await added(store, name, "check") for name in ("ended", "shortened", "kept")]
    point = await store.revision()
    now = datetime.now(UTC)
    async with store.transaction(caller="test", actor="olga") as tx:
        await callers.remove(tx, "ended")
    async with store.transaction(caller="test", actor="olga") as tx:
        await callers.rotate(
            tx, "shortened", until=now + timedelta(days=1), overlap=timedelta(microseconds=1), at_once=False, now=now
        )
    lost = await added(store, "lost", "check")
    await reached(app, await store.revision())
    assert await asked(wire, lost) == "answered"
    before = app.replica.snapshot.history.name
    await execute(database, LOSE.format(point) + BACK.format(point))

    async def noticed() -> bool:
        app.replica.look()
        return app.replica.snapshot.history.name != before

    await until(noticed)

    async def stands_as_known() -> None:
        assert await asked(wire, kept) == "answered"
        assert await asked(wire, lost) == "a token that is not known, or is no longer"
        assert await asked(wire, ended) == "a token that is not known, or is no longer"
        assert await asked(wire, shortened) == "a token that has expired"

    await stands_as_known()
    # And after what the new history does to tokens and to accounts, too.
    await added(store, "another")
    await reached(app, await grant(app, "dr-a", "mia", "data_entry"))
    await stands_as_known()


def test_of_two_histories_the_stricter_word_on_each_token_holds():
    now = datetime(2026, 11, 28, tzinfo=UTC)

    def known(**until_) -> dict[str, KnownToken]:
        return {
            name: KnownToken(caller=name, digest=name.encode(), expires_at=now + timedelta(days=days))
            for name, days in until_.items()
        }

    before = Credentials(known(a=1, b=9, c=5), ["d"])
    after = Credentials(known(a=5, b=3, d=5, e=5), ["f"]).after(before)
    assert {name: (token.expires_at - now).days for name, token in after.tokens.items()} == {"a": 1, "b": 3, "e": 5}
    assert after.ended == {"d", "f"}


@pytest.mark.parametrize("word", ["issued", "ended"])
async def test_another_replica_follows_by_revision_as_everything_else(app, wire, store, word):
    """No replica has to have been the one that was asked: the change comes by the store."""
    await register(app, "dr-a", "olive")
    token = await added(store, "claims", "check")
    if word == "ended":
        async with store.transaction(caller="elsewhere", actor="olga") as tx:
            await callers.remove(tx, "claims")
    revision = await store.revision()
    await reached(app, revision)
    assert (await asked(wire, token) == "answered") == (word == "issued")
