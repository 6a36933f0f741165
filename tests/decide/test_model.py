"""model.conf is vetted before it is used."""

import casbin
import pytest

from policy_service.decide import read_model
from policy_service.policy_text import BrokenPolicy
from policy_service.settings import policies_dir

GOOD = (policies_dir() / "model.conf").read_text()
LINES = GOOD.splitlines()
MATCHER = next(line for line in LINES if line.startswith("m ="))
EFFECT = next(line for line in LINES if line.startswith("e ="))


def broken(tmp_path, text):
    path = tmp_path / "model.conf"
    path.write_text(text)
    with pytest.raises(BrokenPolicy) as refused:
        read_model(path)
    assert all(line.startswith(f"{path}:") for line in str(refused.value).splitlines())
    return refused.value


@pytest.mark.parametrize(
    ("matcher", "word"),
    [
        ("m = eval(p.sub) && g(r.sub, p.sub, r.dom) && r.act == p.act", "eval()"),
        ("m = g(r.sub, p.sub, r.dom) && keyMatch(r.dom, p.dom) && r.act == p.act", "keyMatch"),
        ("m = g(r.sub, p.sub, r.dom) && regexMatch(r.act, p.act) && r.dom == p.dom", "regexMatch"),
        ('m = r.sub == "user:root" || g(r.sub, p.sub, r.dom) && r.dom == p.dom && r.act == p.act', "user:root"),
        ("m = r.sub == p.sub && r.dom == p.dom && r.act == p.act", "decides"),
        ("m = g(r.sub, p.sub, r.dom) && r.dom == p.dom", "decides"),
        ("m = g(r.sub, p.sub, r.dom) && r.dom == p.dom && r.act == p.obj", "may not stand"),
        ("m = g(r.sub, p.sub, r.dom) && (r.dom == p.dom", "cannot be parsed"),
        ("m = g(r.sub, p.sub) && r.dom == p.dom && r.act == p.act", "may not stand"),
        ("m = g(r.sub, p.sub, r.dom) && r.dom == p.dom && r.act.lower() == p.act", "may not stand"),
        ("m = g(r.sub, p.sub, r.dom) && r.dom in p.dom && r.act == p.act", "may not stand"),
        ("m = [x for x in p.sub]", "may not stand"),
        ('m = g("*", "*", r.dom) && r.sub == r.sub && r.act == r.act', "may not stand"),
        ("m = r.sub == r.sub && r.dom == r.dom && r.act == r.act || g(r.sub, p.sub, r.dom)", "may not stand"),
        ("m = r.sub != p.sub && r.dom != p.sub || g(r.sub, p.sub, r.dom)", "may not stand"),
        ("m = !(g(r.sub, p.sub, r.dom) && r.dom == p.dom && r.act == p.act)", "may not stand"),
        ("m = g(r.sub, p.sub, r.dom) || r.dom == p.dom && r.act == p.act", "decides"),
        ("m = g(r.sub, p.sub, r.dom) && (r.dom == p.dom || r.act == p.act)", "decides"),
        (
            'm = (g(r.sub, p.sub, r.dom) || p.dom == "*") && (r.dom == p.dom || p.dom == "*") && r.act == p.act',
            "decides",
        ),
        (
            'm = (g(r.sub, p.sub, r.dom) || p.act == "*") && r.dom == p.dom && (r.act == p.act || p.act == "*")',
            "decides",
        ),
        (
            'm = g(r.sub, p.sub, r.dom) && (r.dom == p.dom || p.dom == "*") && (r.act == p.act || p.dom == "*")',
            "decides",
        ),
        (
            'm = g(r.sub, p.sub, r.dom) && (r.dom == p.dom || p.act == "*") && r.act == p.act || r.sub == p.sub',
            "decides",
        ),
        ("m = " + "!" * 5000 + "g(r.sub, p.sub, r.dom)", "nested too deeply"),
        ("m = g(r.sub, p.sub, r.dom) && r.dom == p.dom && r.act == p.act && true", "may not stand"),
    ],
)
def test_a_matcher_that_could_open_accounts_is_refused_with_its_line(tmp_path, matcher, word):
    fault = broken(tmp_path, GOOD.replace(MATCHER, matcher))
    assert word in str(fault)
    assert fault.faults[0].line == LINES.index(MATCHER) + 1


@pytest.mark.parametrize(
    ("effect", "word"),
    [
        ("e = !some(where (p.eft == deny))", "where what no rule names is denied"),
        ("e = some(where (p.eft == allow))", "where a deny after an allow wins"),
        ("e = priority(p.eft) || deny", "where a deny after an allow wins"),
        ("e = subjectPriority(p.eft) || deny", "where a deny after an allow wins"),
        ("e = some(where (p.eft == deny))", "knows no effect"),
    ],
)
def test_an_effect_that_allows_what_it_must_not_is_refused(tmp_path, effect, word):
    fault = broken(tmp_path, GOOD.replace(EFFECT, effect))
    assert word in str(fault)
    assert fault.faults[0].line == LINES.index(EFFECT) + 1


@pytest.mark.parametrize("section", ["request_definition", "policy_definition", "role_definition", "policy_effect"])
def test_a_missing_section_is_named(tmp_path, section):
    assert section in str(broken(tmp_path, GOOD.replace(f"[{section}]", "[other]")))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[matchers]",
        "nonsense",
        GOOD.replace("p = sub, dom, act, eft", "p = sub, obj, act, eft"),
        GOOD + "\nm2 = true\n",
    ],
)
def test_other_broken_models_are_refused(tmp_path, text):
    broken(tmp_path, text)


def test_a_model_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(BrokenPolicy, match="cannot be read"):
        read_model(tmp_path / "none.conf")


def test_the_plain_library_takes_the_model_that_lets_policy_values_become_code(tmp_path):
    """Why eval( is refused: with it, a value in a policy row is evaluated."""
    model = GOOD.replace(MATCHER, "m = eval(p.sub) && r.dom == p.dom && r.act == p.act")
    enforcer = casbin.Enforcer(casbin.Enforcer.new_model(text=model))
    enforcer.add_policy("1 == 1", "physician:dr", "claim:view", "allow")
    assert enforcer.enforce("user:stranger", "physician:dr", "claim:view")
