"""A model is judged by what it decides: each probe can fail, and says what that would mean."""

import itertools

import casbin
import pytest

from policy_service.decide import model_probes, read_model, vetted_model
from policy_service.decide.model_probes import PROBES
from policy_service.policy_text import BrokenPolicy
from policy_service.settings import policies_dir

SHIPPED = read_model(policies_dir() / "model.conf")
DENY_WINS = "e = some(where (p.eft == allow)) && !some(where (p.eft == deny))"
ALLOW_WINS = "e = some(where (p.eft == allow))"

MATCHER = next(line for line in SHIPPED.text.splitlines() if line.startswith("m ="))
EFFECTS = (
    "some(where (p_eft == allow)) && !some(where (p_eft == deny))",
    "some(where (p_eft == allow))",
    "!some(where (p_eft == deny))",
    "priority(p_eft) || deny",
)
HELD, DOMAIN, ACTION = MATCHER.removeprefix("m = ").split(" && ")
# Each lets through more than it should, or less: by somebody's mistake, or on purpose.
MATCHERS = (
    (HELD, DOMAIN, ACTION),
    (HELD, "1 == 1", ACTION),
    (HELD, "r.dom == p.dom", ACTION),
    (HELD, DOMAIN, "1 == 1"),
    (HELD, DOMAIN, "r.act == p.act"),
    (HELD, DOMAIN, f'({ACTION} || r.act == "*")'),
    (HELD, f'({DOMAIN} || r.dom == "*")', f'({ACTION} || r.act == "*")'),
    (HELD, DOMAIN, '(p.act == "*" || regexMatch(r.act, p.act))'),
    ("1 == 1", DOMAIN, ACTION),
    ("r.sub == p.sub", DOMAIN, ACTION),
    (f'({HELD} || "role:" + r.sub[5:] == p.sub)', DOMAIN, ACTION),
    ('g(r.sub, p.sub, "physician:a")', DOMAIN, ACTION),
    (f'({HELD} || g(r.sub, p.sub, "system"))', DOMAIN, ACTION),
    (f'({HELD} || g(r.sub, "role:one", "physician:a"))', DOMAIN, ACTION),
    (f'({HELD} || g(r.sub, p.sub, "physician:a"))', '(r.dom == p.dom || p.dom == "*" || p.dom == "system")', ACTION),
    (f'({HELD} || g(r.sub, p.sub, "physician:a") || g(r.sub, p.sub, "physician:b"))', "1 == 1", ACTION),
    (f'({HELD} || g(r.sub, "role:one", r.dom) && g("role:one", p.sub, "physician:b"))', DOMAIN, ACTION),
    (f'({HELD} || r.dom[:11] == "physician:a" && g(r.sub, p.sub, "physician:a"))', DOMAIN, ACTION),
    ("1 == 2", DOMAIN, ACTION),
    (f'({HELD} && p.sub != "role:r8")', DOMAIN, ACTION),
    (f'({HELD} || g(r.sub, "role:three", r.dom))', DOMAIN, ACTION),
)


def enforcing(effect, matcher):
    """A bare Casbin under any model, vetted by nobody."""

    def made(rules, grants):
        model = casbin.Model()
        parts = {"r": "sub, dom, act", "p": "sub, dom, act, eft", "g": "_, _, _", "e": effect}
        for section, value in {**parts, "m": " && ".join(matcher)}.items():
            model.add_def(section, section, value)
        enforcer = casbin.Enforcer(model)
        enforcer.add_policies(rules)
        enforcer.add_grouping_policies(grants)
        return enforcer

    return made


def test_every_probe_can_fail():
    found = set()
    for effect, matcher in itertools.product(EFFECTS, MATCHERS):
        found |= {probe.name for probe in model_probes.failed(enforcing(effect, matcher))}
    assert found == {probe.name for probe in PROBES}


@pytest.mark.parametrize("matcher", MATCHERS[1:], ids=lambda parts: " && ".join(parts))
def test_no_matcher_of_these_is_taken(matcher):
    bad = enforcing(EFFECTS[0], matcher)
    assert [*model_probes.failed(bad)] or model_probes.wrong_alone(bad)


def test_the_shipped_model_decides_every_probe_rightly():
    assert not [*model_probes.failed(SHIPPED.enforcer)]
    assert len({probe.name for probe in PROBES}) == len(PROBES)


def test_a_model_without_the_deny_part_is_refused_with_what_it_would_do():
    """The vetting took it, though accounts have roles that deny."""
    with pytest.raises(BrokenPolicy) as refused:
        vetted_model(SHIPPED.text.replace(DENY_WINS, ALLOW_WINS), "model.conf")
    told = str(refused.value)
    assert "a deny after an allow wins" in told
    assert "what an owner denies to a custom role would be allowed all the same" in told
    line = SHIPPED.text.splitlines().index(DENY_WINS) + 1
    assert {fault.line for fault in refused.value.faults} == {line}


def test_the_past_is_decided_by_the_model_of_the_past():
    """One that was in force under an earlier release is read for what it decided then."""
    found = vetted_model(SHIPPED.text.replace(DENY_WINS, ALLOW_WINS), "then", as_it_was=True)
    rules = [["role:one", "physician:a", "claim:view", effect] for effect in ("allow", "deny")]
    assert found.enforcer(rules, [["user:t", "role:one", "physician:a"]]).enforce("user:t", "physician:a", "claim:view")
    with pytest.raises(BrokenPolicy):
        vetted_model(SHIPPED.text.replace(MATCHER, "m = eval(p.sub)"), "then", as_it_was=True)
