"""A broken seed file never reaches the policy in force, whatever is wrong with it."""

import pytest

from policy_service.app import open_app, open_store
from policy_service.policy_text import BrokenPolicy
from policy_service.seed import install
from tests.conftest import SHIPPED_MODEL, settings_for
from tests.support.seeds import broken_seeds


async def test_no_broken_seed_changes_the_policy(database, store, seed, tmp_path):
    await install.install_first(store, seed, SHIPPED_MODEL)
    before = await store.revision()
    path = tmp_path / "seed.csv"
    settings = settings_for(database, seed_file=path)
    for case in broken_seeds("errors"):
        path.write_bytes(case.text.encode("utf-8", "surrogateescape"))
        for way in (open_store(settings, migrating=True), open_app(settings)):
            with pytest.raises(BrokenPolicy) as refused:
                async with way:
                    pass
            assert [fault.line for fault in refused.value.faults] == [line for _, line, *_ in case.found], case.why
    assert await store.revision() == before
    async with store.transaction(caller="test", actor="ops") as transaction:
        assert set(await transaction.seed_rows()) == set(seed)


async def test_no_broken_seed_becomes_the_first_policy(database, store, tmp_path):
    path = tmp_path / "seed.csv"
    settings = settings_for(database, seed_file=path)
    for case in broken_seeds("errors"):
        path.write_bytes(case.text.encode("utf-8", "surrogateescape"))
        with pytest.raises(BrokenPolicy):
            async with open_store(settings, migrating=True):
                pass
    assert await store.revision() == 0
