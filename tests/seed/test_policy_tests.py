"""The shipped expectations can fail: every change of the seed that matters is caught by one of them."""

import pytest

from policy_service.decide import Basis
from policy_service.policy_text import CallerQuestion, UserQuestion, read_expectations
from policy_service.seed import run
from policy_service.settings import policies_dir
from policy_service.vocabulary import ANY, SYSTEM_DOMAIN, Effect, Reason, Role, Row, grant_row, rule_row
from tests.support.actions import Action
from tests.support.oracle import TABLE

METHOD = "ManageUsersService/InviteUser"


@pytest.fixture(scope="module")
def shipped():
    return [read_expectations(path) for path in sorted((policies_dir() / "tests").glob("*.yaml"))]


@pytest.fixture
def report(model, tmp_path):
    """What one file of this text says of a seed."""

    def reported(seed, text):
        path = tmp_path / "some.yaml"
        path.write_text(text)
        return run(model, seed, [read_expectations(path)])

    return reported


def failures(report):
    return [result for tested in report.files for result in tested.failed]


def seed_with(seed, *rows):
    return [*seed, *rows]


def seed_without(seed, row):
    return [kept for kept in seed if kept != row]


def test_the_shipped_seed_is_as_expected_and_covered_wholly(model, seed, shipped):
    report = run(model, seed, shipped)
    assert [tested.file for tested in report.files] == ["built_in_roles.yaml", "callers.yaml", "demo_clinic.yaml"]
    assert all(len(tested.results) > 100 for tested in report.files)
    assert failures(report) == []
    assert report.unreached == ()


@pytest.fixture
def caught(model, shipped):
    """Does any of the shipped files fail on a seed?"""

    def is_caught(seed):
        return any(failures(run(model, seed, [file])) for file in shipped)

    return is_caught


def test_a_rule_that_leaves_the_seed_is_missed(caught, seed):
    rules = [row for row in seed if row.ptype == "p" and row.domain == ANY]
    assert len(rules) == 1 + 5 + 4 + 9
    assert not caught(seed)
    for row in rules:
        assert caught(seed_without(seed, row)), row


@pytest.mark.parametrize("role", [role for role in TABLE if role != "owner"])
def test_an_action_that_a_role_gains_is_caught(caught, seed, role):
    beyond = [action for action in Action if action not in TABLE[role]]
    assert len(beyond) == len(Action) - len(TABLE[role]) > 0
    for action in beyond:
        assert caught(seed_with(seed, rule_row(Role(role), ANY, action, Effect.ALLOW))), action


@pytest.mark.parametrize("role", TABLE)
def test_an_action_that_a_role_is_denied_is_caught(caught, seed, role):
    for action in sorted(TABLE[role]):
        assert caught(seed_with(seed, rule_row(Role(role), ANY, Action(action), Effect.DENY))), action


def test_a_right_that_a_caller_loses_is_missed(caught, seed):
    rows = [row for row in seed if row.domain == SYSTEM_DOMAIN]
    assert {row.ptype for row in rows} == {"p", "g"}
    for row in rows:
        assert caught(seed_without(seed, row)), row


def test_a_right_that_a_caller_gains_is_caught(caught, seed):
    """What billing gains; the other callers have every role already."""
    methods = {row.values[2] for row in seed if row.ptype == "p" and row.domain == SYSTEM_DOMAIN} | {ANY}
    gained = [Row(ptype="p", values=("role:decision_caller", SYSTEM_DOMAIN, method, "allow")) for method in methods]
    gained += [grant_row("service:billing", Role("manage_users_caller"), SYSTEM_DOMAIN)]
    gained += [grant_row("service:stranger", Role("decision_caller"), SYSTEM_DOMAIN)]
    gained = [row for row in gained if row not in seed]
    assert len(gained) > 14
    for row in gained:
        assert caught(seed_with(seed, row)), row


CLINIC = """
world:
  - g, user:ann, role:owner, physician:dr-a
  - g, user:dan, role:data_entry, physician:dr-a
  - p, user:dan, physician:dr-a, invoice:view, allow
expect:
"""


def test_a_failing_decision_says_what_was_asked_expected_and_found(report, seed):
    text = f"{CLINIC}  - why: No claims.\n    user: dan\n    physician: dr-a\n    channels: [mobile]\n    allowed: [claim:view]\n"
    found = report(seed, text)
    (failed,) = failures(found)
    assert (failed.line, failed.why, failed.expected, failed.found) == (7, "No claims.", True, False)
    assert failed.question == UserQuestion(user="dan", physician="dr-a", channel="mobile", action=Action.CLAIM_VIEW)
    assert failed.reason is Reason.CHANNEL_NOT_ALLOWED


def test_only_the_rule_that_decided_is_reached(report, seed):
    text = f"{CLINIC}  - {{why: Claims only., user: dan, physician: dr-a, allowed: [claim:view]}}\n"
    reached = set(seed) - set(report(seed, text).unreached)
    assert {row.values for row in reached if row.ptype == "p"} == {
        ("role:data_entry", "*", action, "allow")
        for action in ("claim:view", "claim:save", "claim:submit", "claim:delete")
    }


def test_a_rule_that_another_overrules_is_never_reached(report, seed):
    allow = rule_row(Role("data_entry"), ANY, Action.CLAIM_DELETE, Effect.ALLOW)
    deny = rule_row(Role("data_entry"), ANY, Action.CLAIM_DELETE, Effect.DENY)
    text = f"{CLINIC}  - {{why: No deleting., user: dan, physician: dr-a, allowed: [claim:view]}}\n"
    assert allow not in report(seed, text).unreached
    unreached = report(seed_with(seed, deny), text).unreached
    assert allow in unreached
    assert deny not in unreached


def test_what_nobody_is_asked_about_is_never_reached(report, seed):
    text = f'{CLINIC}  - {{why: All., user: ann, physician: dr-a, channels: [web, mobile], allowed: "*"}}\n'
    found = report(seed, text)
    assert failures(found) == []
    assert found.unreached == tuple(row for row in seed if row.ptype != "a" and row.values[0] != "role:owner")


def test_a_caller_reaches_its_rules_and_the_grants_on_the_way(report, seed):
    text = "expect:\n  - {why: It asks., caller: billing, allowed: []}\n"
    found = report(seed, text)
    reached = set(seed) - set(found.unreached)
    assert {row.values for row in reached if row.ptype == "g"} == {
        ("service:billing", "role:decision_caller", "system")
    }
    assert {row.values[0] for row in reached if row.ptype == "p"} == {"role:decision_caller"}
    assert {result.question for result in failures(found)} == {
        CallerQuestion(caller="billing", method=row.values[2]) for row in reached if row.ptype == "p"
    }


def test_a_callers_role_may_include_another(model, seed):
    included = [
        *(row for row in seed if row.domain == SYSTEM_DOMAIN),
        grant_row("service:page", Role("page"), SYSTEM_DOMAIN),
        grant_row("role:page", Role("manage_users_caller"), SYSTEM_DOMAIN),
    ]
    basis = Basis(model, included)
    assert basis.caller_may("page", METHOD)
    assert basis.caller_grounds("page", METHOD) == (
        grant_row("service:page", Role("page"), SYSTEM_DOMAIN),
        grant_row("role:page", Role("manage_users_caller"), SYSTEM_DOMAIN),
        Row(ptype="p", values=("role:manage_users_caller", "system", METHOD, "allow")),
    )
    assert basis.caller_grounds("stranger", METHOD) == ()


def test_the_grounds_never_disagree_with_the_decision(model, seed):
    basis = Basis(model, seed)
    methods = sorted({row.values[2] for row in seed if row.ptype == "p" and row.domain == SYSTEM_DOMAIN})
    for caller in ("local", "billing", "manage-users-page", "stranger", "owner"):
        for method in methods:
            assert basis.caller_may(caller, method) == bool(basis.caller_grounds(caller, method)), (caller, method)


def test_a_caller_that_a_rule_denies_is_told_so(report, seed):
    deny = Row(ptype="p", values=("role:manage_users_caller", SYSTEM_DOMAIN, METHOD, "deny"))
    text = f"expect:\n  - {{why: No., caller: local, allowed: [{METHOD}]}}\n"
    found = report(seed_with(seed, deny), text)
    told = {result.question.method: result.reason for result in found.files[0].results}
    assert told[METHOD] is Reason.DENIED_BY_RULE
    assert deny not in found.unreached


def test_a_method_that_no_rule_names_is_asked_if_it_is_expected(report, seed):
    found = report(seed, "expect:\n  - {why: New., caller: local, allowed: [OtherService/Do]}\n")
    assert CallerQuestion(caller="local", method="OtherService/Do") in {result.question for result in failures(found)}


def test_a_policy_without_callers_allows_none(report, seed):
    built_in = [row for row in seed if row.domain == ANY]
    found = report(built_in, f"expect:\n  - {{why: Nobody., caller: local, allowed: [{METHOD}]}}\n")
    assert [(result.found, result.reason) for result in failures(found)] == [(False, Reason.NOT_GRANTED)]
