"""Another implementation reads the same policy: the casbin_rule view and model.conf, with a stock adapter."""

import itertools

import asyncpg
import casbin
import pytest
from casbin_async_sqlalchemy_adapter import Adapter
from sqlalchemy.ext.asyncio import create_async_engine

from policy_service import demo
from policy_service.pb import decision_pb2 as pb
from policy_service.policy_text import read_file
from policy_service.settings import policies_dir
from tests.support.oracle import ACTIONS
from tests.support.rpc import question

USERS = ("ama", "ben", "ruth", "mia", "noah", "priya", "leo", "vera", "stranger")
PHYSICIANS = ("dr-osei", "dr-tran", "dr-silver")
ASKED = list(itertools.product(USERS, PHYSICIANS, ACTIONS))


@pytest.fixture
async def answers(app, wire) -> dict[tuple[str, str, str], bool]:
    """The service's own."""
    revision = (await demo.load(app.store, read_file(policies_dir() / "demo.csv"))).revision
    checks = [question(*asked, min_revision=revision) for asked in ASKED]
    response = await wire("BatchCheck", pb.BatchCheckRequest(checks=checks))
    return {asked: answer.allowed for asked, answer in zip(ASKED, response.answers, strict=True)}


async def test_a_stock_casbin_with_a_stock_adapter_gives_the_same_answers(answers, database):
    engine = create_async_engine("postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(database))
    enforcer = casbin.AsyncEnforcer(str(policies_dir() / "model.conf"), Adapter(engine))
    await enforcer.load_policy()
    await engine.dispose()
    assert sum(answers.values()) > 50
    for (user, physician, action), allowed in answers.items():
        assert enforcer.enforce(f"user:{user}", f"physician:{physician}", action) == allowed, (user, physician, action)


async def test_the_view_has_the_columns_of_the_common_adapters(answers, database):
    connection = await asyncpg.connect(database)
    record = await connection.fetchrow("SELECT * FROM casbin_rule WHERE ptype = 'g' LIMIT 1")
    rules = await connection.fetchval("SELECT count(*) FROM casbin_rule")
    await connection.close()
    assert list(record.keys()) == ["id", "ptype", "v0", "v1", "v2", "v3", "v4", "v5", "v6"]
    assert (record["v3"], record["v4"], record["v5"], record["v6"]) == (None, None, None, None)
    assert rules > 40


def test_nothing_in_the_policy_files_is_beyond_a_stock_reader():
    """seed.csv and demo.csv are plain Casbin CSV: Casbin's own file adapter reads the same rows."""
    for name in ("seed.csv", "demo.csv"):
        path = policies_dir() / name
        enforcer = casbin.Enforcer(str(policies_dir() / "model.conf"), str(path))
        found = {("p", *row) for row in enforcer.get_policy()} | {("g", *row) for row in enforcer.get_grouping_policy()}
        # It passes over rows of a type that the model does not define: what is said of actions is for people.
        assert found == {(row.ptype, *row.values) for row in read_file(path) if row.ptype != "a"}
