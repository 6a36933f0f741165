"""ATTACKS 1 to 13 and 16 to 19, each by its number. Where the plain library falls for one, that is shown first."""

import asyncio
import gc
import itertools
import logging
import os
import re

import asyncpg
import casbin
import grpc
import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from policy_service.app import open_app
from policy_service.decide import Account, Basis, Snapshot
from policy_service.errors import StartError
from policy_service.members import RoleChainTooLong, RoleDefinition, custom_roles, manage_users
from policy_service.members.errors import NameTooSimilar
from policy_service.pb import decision_pb2 as pb
from policy_service.pb import manage_users_pb2 as mu
from policy_service.policy_text import BrokenPolicy, read_rows
from policy_service.seed import install
from policy_service.settings import policies_dir
from policy_service.vocabulary import Channel, Held, Physician, Role, Row, User
from tests.conftest import SHIPPED_MODEL, settings_for
from tests.support.accounts import grant, reached, register, revoke
from tests.support.actions import Action
from tests.support.oracle import ACTIONS, Oracle, lines_of
from tests.support.patience import PATIENCE, calls_of, patiently
from tests.support.plain_casbin import plain_allows, plain_enforcer
from tests.support.rpc import METHODS, Refused, Wire, question

pytestmark = pytest.mark.over_tls

MODEL = str(policies_dir() / "model.conf")


def role(name: str, *actions: str, domain: str = "*") -> list[Row]:
    return [Row(ptype="p", values=(f"role:{name}", domain, action, "allow")) for action in actions]


async def test_01_a_user_named_like_a_role_is_not_granted_it(app, wire):
    plain = casbin.Enforcer(MODEL)
    plain.add_policy("administrator", "*", "claim:view", "allow")
    assert plain.enforce("administrator", "dr-a", "claim:view")  # unprefixed names: anybody may call themselves so

    await register(app, "dr-a", "olive")
    revision = await grant(app, "dr-a", "adele", "administrator")
    for name in ("administrator", "role_administrator", "owner"):
        assert not (await wire.check(name, "dr-a", "claim:view", min_revision=revision)).allowed
    with pytest.raises(Refused):
        await wire.check("role:administrator", "dr-a", "claim:view")


async def test_02_an_empty_question_on_an_empty_policy_is_not_allowed(wire, database, model):
    plain = casbin.Enforcer(MODEL)
    assert plain.enforce("", "", "")  # the plain library says yes

    with pytest.raises(Refused) as refused:
        await wire.check("", "", "")
    assert refused.value.code is grpc.StatusCode.INVALID_ARGUMENT
    with pytest.raises(ValueError, match="without rules"):
        Basis(model, []).ask(Account(Basis(model, []), Physician("dr"), (), ()), "user:a", "claim:view")


async def test_02_an_empty_policy_never_serves(database):
    with pytest.raises(StartError, match="no built-in rules"):
        async with open_app(settings_for(database)):
            pytest.fail("serving an empty policy")


async def test_03_a_grant_stored_twice_does_not_outlive_its_removal(app, wire, database):
    plain = casbin.Enforcer(MODEL)
    plain.add_policy("role:r", "*", "claim:view", "allow")
    manager = plain.get_role_manager()
    for _ in range(2):
        manager.add_link("user:a", "role:r", "physician:dr")
    manager.delete_link("user:a", "role:r", "physician:dr")
    assert plain.enforce("user:a", "physician:dr", "claim:view")  # one removal, still allowed

    await register(app, "dr-a", "olive")
    first = await grant(app, "dr-a", "dan", "data_entry")
    assert await grant(app, "dr-a", "dan", "data_entry") == first  # no change, no second row
    connection = await asyncpg.connect(database)
    with pytest.raises(asyncpg.UniqueViolationError):
        await connection.execute(
            "INSERT INTO rules (ptype, v0, v1, v2, origin, from_revision) "
            "VALUES ('g', 'user:dan', 'role:data_entry', 'physician:dr-a', 'api', 99)"
        )
    await connection.close()
    revision = await revoke(app, "dr-a", "dan", "data_entry")
    assert not (await wire.check("dan", "dr-a", "claim:view", min_revision=revision)).allowed


async def test_04_no_value_injects_or_swallows_a_row(app, wire, management, tmp_path):
    plain_file = tmp_path / "plain.csv"
    name = "x, role:data_entry, physician:dr-a\ng, user:eve, role:owner, physician:dr-a\n#"
    plain_file.write_text(f"p, role:owner, *, *, allow\ng, user:{name}, role:data_entry, physician:dr-a\n")
    plain = casbin.Enforcer(MODEL, str(plain_file))
    assert plain.enforce("user:eve", "physician:dr-a", "user:invite")  # a name became a grant

    await register(app, "dr-a", "olive")
    before = await app.store.revision()
    for bad in (name, "a,b", 'a"b', "a[b]", "a#b", "a\rb", "a\u2028b"):
        with pytest.raises(Refused) as refused:
            await management(
                "RegisterPhysician", mu.RegisterPhysicianRequest(actor="olive", physician="dr-z", owner=bad)
            )
        assert refused.value.fields.keys() == {"owner"}
        with pytest.raises(BrokenPolicy):
            read_rows(f"g, user:{bad.splitlines()[-1] if bad == name else bad}, role:data_entry, physician:dr-a", "f")
    assert await app.store.revision() == before


async def test_05_wildcards_open_nothing(app, wire):
    plain = casbin.Enforcer(
        casbin.Enforcer.new_model(
            text=(policies_dir() / "model.conf").read_text().replace("r.dom == p.dom", "keyMatch(r.dom, p.dom)")
        )
    )
    plain.add_grouping_policy("user:a", "role:r", "physician:1001")
    plain.add_policy("role:r", "physician:100*", "claim:view", "allow")
    assert plain.enforce(
        "user:a", "physician:1001", "claim:view"
    )  # with a pattern matcher, rows open more than they name

    await register(app, "1001", "olive")
    revision = await register(app, "1002", "oscar")
    for user, physician in (("*", "1001"), ("olive", "*"), ("olive", "100*"), ("o*", "1002")):
        with pytest.raises(Refused) as refused:
            await wire.check(user, physician, "claim:view", min_revision=revision)
        assert refused.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert not (await wire.check("olive", "1002", "claim:view")).allowed


def test_06_a_model_that_makes_values_code_is_refused():
    """The cases, the plain library's fall among them, are in tests/decide/test_model.py."""
    from policy_service.decide.model import _matcher_faults

    assert _matcher_faults("eval(p.sub) && g(r.sub, p.sub, r.dom)") == ["eval() would turn a policy value into code"]


def test_07_made_up_names_cost_no_memory(model, seed):
    basis = Basis(model, seed, most_enforcers=10)
    account = Account.of_rows(basis, Physician("dr-a"), [
        Row(ptype="g", values=("user:olive", "role:owner", "physician:dr-a")),
        Row(ptype="g", values=("user:dan", "role:data_entry", "physician:dr-a")),
    ])  # fmt: skip
    snapshot = Snapshot.of(Held(revision=1), basis, [account])

    plain = plain_enforcer(lines_of(seed))
    for number in range(100):
        plain.enforce(f"user:made-up-{number}", "physician:dr-a", "claim:view")
    assert len(plain.get_role_manager().rm_map["physician:dr-a"].all_roles) >= 100  # the plain library keeps them all

    def flood(count: int, start: int) -> None:
        for number in range(start, start + count):
            assert not snapshot.check(
                User(f"made-up-{number}"), Physician("dr-a"), Action.CLAIM_VIEW, Channel.WEB
            ).allowed
            assert not snapshot.check(User("olive"), Physician(f"dr-{number}"), Action.CLAIM_VIEW, Channel.WEB).allowed
            assert not snapshot.check(User("olive"), Physician("dr-a"), None, Channel.WEB).allowed

    flood(1_000, 0)
    gc.collect()
    before = len(gc.get_objects())
    flood(300_000, 1_000)
    gc.collect()
    assert len(gc.get_objects()) - before < 100
    assert set(account.remembered) == {None}
    assert len(basis._enforcers) == 1


def test_07_enforcers_are_bounded_by_the_least_lately_asked(model, seed):
    basis = Basis(model, seed, most_enforcers=5)
    for number in range(50):
        owner = Row(ptype="g", values=("user:o", "role:owner", f"physician:dr-{number}"))
        assert (
            Account.of_rows(basis, Physician(f"dr-{number}"), [owner])
            .outcome(User("o"), Action.CLAIM_VIEW, Channel.WEB)
            .allowed
        )
    assert len(basis._enforcers) == 5


async def test_08_a_chain_that_would_be_cut_off_is_refused_when_written(app, wire):
    plain = casbin.Enforcer(MODEL)
    plain.add_policy("role:r12", "*", "claim:view", "allow")
    chain = ["user:a", *(f"role:r{number}" for number in range(1, 13))]
    for lower, upper in itertools.pairwise(chain):
        plain.add_grouping_policy(lower, upper, "physician:dr")
    assert not plain.enforce("user:a", "physician:dr", "claim:view")  # cut off without a word

    await register(app, "dr-a", "olive")
    roles = [Role(f"r{number}") for number in range(1, 13)]
    call = {"caller": "test", "actor": "olive"}
    await custom_roles.define(
        app.store, Physician("dr-a"), roles[0], RoleDefinition(allow=frozenset({Action.CLAIM_VIEW})), **call
    )
    written = 1
    with pytest.raises(RoleChainTooLong):
        for below, above in itertools.pairwise(roles):
            await custom_roles.define(
                app.store, Physician("dr-a"), above, RoleDefinition(includes=frozenset({below})), **call
            )
            revision = await grant(app, "dr-a", f"user-{written}", above)
            assert (await wire.check(f"user-{written}", "dr-a", "claim:view", min_revision=revision)).allowed
            written += 1
    assert 3 <= written <= 9  # whatever is written, Casbin follows to the end


def test_07_a_large_account_is_asked_about_in_time_that_grows_with_its_size_alone(model, seed):
    """Casbin's default compares every pair of names: 16 seconds for 5,000 grants, with everybody waiting."""

    def cost(size: int) -> int:
        grants = [Row(ptype="g", values=(f"user:u{n}", "role:data_entry", "physician:dr-a")) for n in range(size)]
        account = Account.of_rows(Basis(model, seed), Physician("dr-a"), grants)
        return calls_of(lambda: account.outcome(User("u77"), Action.CLAIM_VIEW, Channel.WEB))

    assert cost(5_000) < 12 * cost(500)


def test_07_the_states_of_one_busy_account_keep_one_enforcer(model, seed):
    basis = Basis(model, seed)
    for number in range(30):
        held = Row(ptype="g", values=(f"user:u{number}", "role:data_entry", "physician:dr-a"))
        assert (
            Account.of_rows(basis, Physician("dr-a"), [held])
            .outcome(User(f"u{number}"), Action.CLAIM_VIEW, Channel.WEB)
            .allowed
        )
    assert len(basis._enforcers) == 1


async def test_08_a_circle_of_roles_is_refused(app):
    await register(app, "dr-a", "olive")
    call = {"caller": "test", "actor": "olive"}
    a, b, account = Role("a"), Role("b"), Physician("dr-a")
    await custom_roles.define(app.store, account, a, RoleDefinition(allow=frozenset({Action.CLAIM_VIEW})), **call)
    await custom_roles.define(app.store, account, b, RoleDefinition(includes=frozenset({a})), **call)
    before = await app.store.revision()
    for circle in (RoleDefinition(includes=frozenset({b})), RoleDefinition(includes=frozenset({a}))):
        with pytest.raises(RoleChainTooLong):
            await custom_roles.define(app.store, account, a, circle, **call)
    assert await app.store.revision() == before


async def test_09_no_input_forges_a_log_line(wire, capfd):
    from policy_service.cli.main import _configure_logging

    _configure_logging("debug")
    try:
        forged = "x\n2026-01-01 [info] allowed user=eve\x1b[2K"
        structlog.get_logger("t").warning("event", value=forged)
        for field in ("user", "physician", "action", "resource", "correlation_id"):
            with pytest.raises(Refused) as refused:
                await wire(
                    "Check", pb.CheckRequest(**{"user": "a", "physician": "b", "action": "claim:view", field: forged})
                )
            assert "eve" not in refused.value.details
        logging.getLogger("casbin.enforcer").warning("Request: %s", forged)  # where pycasbin would log questions
    finally:
        structlog.reset_defaults()
    captured = capfd.readouterr()
    lines = [line for line in (captured.out + captured.err).splitlines() if line]
    told = [line for line in lines if "forg" in line or "user=eve" in line]
    # Ours, escaped; of a refused call nothing that was sent.
    assert len(told) == 1
    assert all(line.startswith("{") for line in lines)
    assert "\x1b" not in captured.err


def _names(separators: str) -> st.SearchStrategy[str]:
    return st.builds("{}{}".format, st.sampled_from("ab"), st.text(alphabet=f"ab{separators}", max_size=3))


@settings(deadline=None, max_examples=200)
@given(grants=st.sets(st.tuples(_names(".-_@+"), _names(".-_")), min_size=1, max_size=6))
def test_10_no_two_questions_share_a_memory(model, seed, grants):
    """Names made of every separator that the grammar has: joined keys would collide, tuples do not."""
    basis = Basis(model, seed)
    rows = [Row(ptype="g", values=(f"user:{user}", "role:data_entry", f"physician:{dr}")) for user, dr in grants]
    oracle = Oracle(lines_of([*rows, *seed]))
    accounts = [
        Account.of_rows(basis, Physician(dr), [row for row in rows if row.domain == f"physician:{dr}"])
        for dr in {dr for _, dr in grants}
    ]
    snapshot = Snapshot.of(Held(revision=1), basis, accounts)
    users, drs = {user for user, _ in grants}, {dr for _, dr in grants}
    questions = list(itertools.product(sorted(users), sorted(drs), (Action.CLAIM_VIEW, Action.INVOICE_VIEW)))
    for _ in range(2):  # fresh, then remembered
        for user, dr, action in questions:
            found = snapshot.check(User(user), Physician(dr), action, Channel.WEB)
            assert found.reason.name == oracle.reason(user, dr, action, mobile=False)


async def test_11_a_batch_equals_its_singles_in_order_with_repeats(app, wire):
    await register(app, "dr-a", "olive")
    await grant(app, "dr-a", "dan", "data_entry")
    revision = await register(app, "dr-b", "oscar")
    await reached(app, revision)
    kinds = [
        question(user, physician, action, channel)
        for user, physician, action, channel in itertools.product(
            ("olive", "dan", "oscar", "eve"), ("dr-a", "dr-b", "dr-c"), ("claim:view", "invoice:pay", "x:y"), (1, 2)
        )
    ]
    singles = [await wire("Check", asked) for asked in kinds]
    order = [(7 * place) % len(kinds) for place in range(1000)]
    response = await wire("BatchCheck", pb.BatchCheckRequest(checks=[kinds[place] for place in order]))
    assert response.revision >= revision
    for place, answer in zip(order, response.answers, strict=True):
        single = singles[place]
        assert (answer.allowed, answer.reason, answer.role) == (single.allowed, single.reason, single.role)
    assert len({answer.decision_id for answer in response.answers}) == 1000


async def test_12_lists_and_checks_agree(app, wire):
    """The full proof, on random worlds, is test_differential.py."""
    await register(app, "dr-a", "olive")
    await grant(app, "dr-a", "dan", "data_entry")
    revision = await grant(app, "dr-a", "adele", "administrator")
    users = ("olive", "dan", "adele", "eve")
    for action, channel in itertools.product(ACTIONS, (1, 2)):
        checks = [question(user, "dr-a", action, channel, min_revision=revision) for user in users]
        answers = (await wire("BatchCheck", pb.BatchCheckRequest(checks=checks))).answers
        allowed = sorted(user for user, answer in zip(users, answers, strict=True) if answer.allowed)
        listed = await wire("ListUsers", pb.ListUsersRequest(physician="dr-a", action=action, channel=channel))
        assert [access.user for access in listed.users] == allowed
        for user in users:
            places = await wire("ListPhysicians", pb.ListPhysiciansRequest(user=user, action=action, channel=channel))
            assert bool(places.physicians) == (user in allowed)
            shown = await wire("ListActions", pb.ListActionsRequest(user=user, physician="dr-a", channel=channel))
            assert (action in [access.action for access in shown.actions if access.shown]) == (user in allowed)


async def test_13_no_two_users_are_merged(app, wire, management, database):
    await register(app, "dr-a", "olive")
    revision = await grant(app, "dr-a", "alice", "administrator")
    assert not (await wire.check("Alice", "dr-a", "claim:view", min_revision=revision)).allowed
    assert not (await wire.check("ALICE", "dr-a", "claim:view")).allowed
    for other in ("a\u017fam", "\u212aate", "\u0131van", "al\u0131ce", "ａlice", "alic\u0435"):
        with pytest.raises(Refused) as refused:
            await wire.check(other, "dr-a", "claim:view")
        assert refused.value.code is grpc.StatusCode.INVALID_ARGUMENT
    with pytest.raises(NameTooSimilar):
        await grant(app, "dr-a", "Alice", "data_entry")
    # Names from before that rule can differ in case only: the database keeps them apart, and in byte order.
    connection = await asyncpg.connect(database)
    await connection.execute("INSERT INTO users VALUES ('Alice', NULL, 1, 1, 1)")
    names = await connection.fetch("SELECT username FROM users ORDER BY username")
    assert [record[0] for record in names] == ["Alice", "alice", "olive"]
    wrong = await connection.fetch(
        """
        SELECT table_name, column_name, collation_name FROM information_schema.columns
        WHERE table_schema = 'public' AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'
          AND (table_name, column_name) NOT IN (('changes', 'reason'), ('physicians', 'display_name'), ('outbox', 'words'))
        """
    )
    await connection.close()
    assert not wrong, wrong  # every identifier has byte collation


async def test_16_the_database_password_is_nowhere(tmp_path, postgres, capfd):
    from policy_service.cli.main import _configure_logging

    secret = "hunter2-s3cret"
    _configure_logging("debug")
    try:
        for address in (
            f"postgresql://policy:{secret}@127.0.0.1:1/none",
            f"postgresql://policy:{secret}@[bad/none",
            f"postgresql://policy:{secret}@127.0.0.1:notaport/none",
        ):
            with pytest.raises(StartError) as refused:
                async with open_app(settings_for(address)):
                    pytest.fail("connected to nothing")
            assert secret not in str(refused.value)
            assert secret not in repr(settings_for(address))
    finally:
        structlog.reset_defaults()
    captured = capfd.readouterr()
    assert secret not in captured.out + captured.err


async def test_16_metrics_hold_no_secret_and_no_name(app, wire):
    from prometheus_client import generate_latest

    from policy_service import metrics

    await register(app, "dr-a", "olive")
    await wire.check("secretname", "dr-a", "claim:view")
    text = generate_latest(metrics.registry).decode()
    assert "policy_decisions_total" in text
    for word in ("secretname", "olive", "dr-a", "postgres"):
        assert word not in text


@pytest.mark.parametrize(
    "path",
    [
        "/policy.v1.DecisionService/check",
        "/policy.v1.DecisionService//Check",
        "//policy.v1.DecisionService/Check",
        "/policy.v1.DecisionService/Check/",
        "/policy.v1.DecisionService/%43heck",
        "/policy.v1.DecisionService/../DecisionService/Check",
        "/POLICY.V1.DecisionService/Check",
    ],
)
async def test_17_only_the_exact_path_is_a_method(app, path):
    async with Wire(app.planes.decision_port) as wire:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await wire.channel.unary_unary(path)(b"", timeout=PATIENCE)
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("method", sorted(METHODS))
async def test_17_a_method_without_a_right_is_refused(app, seed, method):
    """Rights are an allow-list: with a method's row taken out of the seed, nobody may call it."""
    service, descriptor = METHODS[method]
    rows = [row for row in seed if row.values[2] != f"{service.name}/{method}"]
    assert len(rows) == len(seed) - 1
    revision = (await install.install(app.store, rows, caller="test", actor="ops")).revision
    port = app.planes.decision_port if service.name == "DecisionService" else app.planes.management_port
    await reached(app, revision)
    async with Wire(port) as wire:
        from google.protobuf import message_factory

        with pytest.raises(Refused) as refused:
            await wire(method, message_factory.GetMessageClass(descriptor.input_type)())
    assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_ALLOWED")


async def test_18_an_exceptions_text_stays_inside(app, wire, management, monkeypatch, capfd):
    def fail(*_: object) -> None:
        raise RuntimeError("secret text of the fault")

    async def fail_async(*_: object, **__: object) -> None:
        raise RuntimeError("secret text of the fault")

    monkeypatch.setattr(Snapshot, "check", fail)
    monkeypatch.setattr(manage_users, "register", fail_async)
    request = mu.RegisterPhysicianRequest(actor="olive", physician="dr-a", owner="olive")
    for call in (wire.check("a", "dr-a", "claim:view"), management("RegisterPhysician", request)):
        with pytest.raises(Refused) as refused:
            await call
        assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
        assert "secret" not in refused.value.details
        incident = re.search(r"incident (\w+)", refused.value.details)
        assert incident is not None
        captured = capfd.readouterr()
        assert incident.group(1) in captured.out + captured.err  # the operator finds the whole of it


async def test_19_an_oversized_message_is_refused(wire):
    with pytest.raises(Refused) as refused:
        await wire("Check", question("a", "b", "claim:view", resource="x" * (2 << 20)))
    assert refused.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_19_too_many_questions_a_second_are_refused_for_that_caller(store, database, seed):
    await install.install_first(store, seed, SHIPPED_MODEL)
    async with (
        open_app(settings_for(database, max_questions_per_second=10.0)) as app,
        Wire(app.planes.decision_port) as wire,
    ):
        full = pb.BatchCheckRequest(checks=[question("a", "b", "claim:view")] * 990)
        await wire("BatchCheck", full)
        with pytest.raises(Refused) as refused:
            await wire("BatchCheck", full)
    assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED")


async def test_19_too_many_calls_at_once_are_refused_and_the_rest_answered(store, database, seed):
    await install.install_first(store, seed, SHIPPED_MODEL)
    async with (
        open_app(settings_for(database, max_concurrent_calls=4)) as app,
        Wire(app.planes.decision_port) as wire,
    ):
        ahead = await app.store.revision() + 1_000
        codes = set[grpc.StatusCode]()
        async with patiently():
            while grpc.StatusCode.RESOURCE_EXHAUSTED not in codes:
                calls = [wire.check("a", "b", "claim:view", patient=False, min_revision=ahead) for _ in range(40)]
                results = await asyncio.gather(*calls, return_exceptions=True)
                codes |= {result.code for result in results if isinstance(result, Refused)}
        assert codes <= {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE}
        assert (await wire.check("a", "b", "claim:view")).reason == pb.REASON_UNKNOWN_PHYSICIAN


async def test_19_calls_that_never_send_their_question_do_not_stop_the_others(app):
    """Open calls without a message hold a thread each; there are threads for more."""
    await reached(app, await register(app, "dr-a", "olive"))
    async with Wire(app.planes.decision_port) as wire:
        stuck = [wire.channel.stream_unary("/policy.v1.DecisionService/Check")() for _ in range(16)]
        try:
            for _ in range(50):
                assert (await wire.check("olive", "dr-a", "claim:view")).allowed
        finally:
            for call in stuck:
                call.cancel()


def test_the_plain_library_agrees_on_what_is_plain(seed):
    """The plain enforcer used above is sound on ordinary questions, or showing its falls would show nothing."""
    rows = [Row(ptype="g", values=("user:dan", "role:data_entry", "physician:dr"))]
    plain = plain_enforcer(lines_of([*seed, *rows]))
    assert [action for action in ACTIONS if plain_allows(plain, "dan", "dr", action)] == [
        "claim:view", "claim:save", "claim:submit", "claim:delete",
    ]  # fmt: skip
    assert os.environ.get("GRPC_ENABLE_FORK_SUPPORT") == "false"
