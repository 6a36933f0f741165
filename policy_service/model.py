"""Reads and vets ``model.conf``: what Casbin is asked to evaluate.

Refuses a model under which a name could be a pattern, a policy value could be
code, or nothing would be allowed by default no longer holds. docs/decisions.md
gives the reasons ("What a model may say").
"""

import ast
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import casbin
from casbin.util import SimpleEval, has_eval

from policy_service.policy_files import BrokenPolicy, Fault

_SECTIONS = {"r": "request_definition", "p": "policy_definition", "g": "role_definition"}
_DEFINITIONS = {"r": ["sub", "dom", "act"], "p": ["sub", "dom", "act", "eft"], "g": ["_", "_", "_"]}
_EFFECTS = ("some(where (p_eft == allow))", "some(where (p_eft == allow)) && !some(where (p_eft == deny))")
_NAMES = frozenset({"r_sub", "r_dom", "r_act", "p_sub", "p_dom", "p_act"})
_HARMLESS = (
    ast.Expression,
    ast.BoolOp,
    ast.And,
    ast.Or,
    ast.UnaryOp,
    ast.Not,
    ast.Compare,
    ast.Eq,
    ast.NotEq,
    ast.Load,
)


@dataclass(frozen=True, slots=True)
class Model:
    """A vetted model, kept as the definitions that Casbin's own reader found."""

    definitions: tuple[tuple[str, str, str], ...]
    matcher: ast.expr

    def enforcer(self, rules: list[list[str]], grants: list[list[str]]) -> casbin.Enforcer:
        """An enforcer over some rows; there must be rules, or Casbin would allow the empty question."""
        if not rules:
            raise ValueError("an enforcer without rules would allow the empty question")
        model = casbin.Model()
        for section, key, value in self.definitions:
            model.add_def(section, key, value)
        # Set, not added one by one: Casbin's add_policy looks through all rows for each row.
        model["p"]["p"].policy = rules
        model["g"]["g"].policy = grants
        enforcer = _Enforcer(model)
        enforcer.matcher = self.matcher
        enforcer.build_role_links()
        return enforcer


class _Enforcer(casbin.Enforcer):  # type: ignore[misc]
    """Casbin's enforcer, but for parsing the matcher: once at the start, not for every question.

    That is most of a question's time, and in CPython 3.11 parsing in two
    threads at once can fail ("AST constructor recursion depth mismatch").
    """

    matcher: ast.expr

    def _get_expression(self, expr: str, functions: Any = None) -> SimpleEval:  # noqa: ARG002
        evaluator = SimpleEval("", functions)
        evaluator.ast_parsed_value = self.matcher
        return evaluator


def read_model(path: Path) -> Model:
    """Read a model file; raises BrokenPolicy with file, line and fault."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise BrokenPolicy(str(path), [Fault(line=1, text=f"cannot be read: {fault}")]) from fault
    model = casbin.Model()
    try:
        model.load_model_from_text(text)
    except Exception as fault:  # Casbin's reader raises bare RuntimeErrors; its words become ours.
        raise BrokenPolicy(str(path), [Fault(line=_line_in(str(fault)), text=str(fault))]) from fault
    faults = [Fault(line=_line_of(text, key), text=words) for key, words in _faults(model)]
    if faults:
        raise BrokenPolicy(str(path), faults)
    return Model(
        tuple((section, key, assertion.value) for section in "rpgem" for key, assertion in model[section].items()),
        casbin.Enforcer._get_expression(model["m"]["m"].value).ast_parsed_value,  # noqa: SLF001 - see _Enforcer.
    )


def _faults(model: casbin.Model) -> list[tuple[str, str]]:
    """Each fault with the key of the definition that it is in."""
    faults = []
    for section, title in (*_SECTIONS.items(), ("e", "policy_effect"), ("m", "matchers")):
        found = sorted(model[section]) if model[section] else []
        if found != [section]:
            faults.append((section, f"section [{title}] must define {section}, and nothing else; it defines {found}"))
        elif section in _DEFINITIONS:
            parts = [part.strip() for part in model[section][section].value.split(",")]
            if parts != _DEFINITIONS[section]:
                faults.append((section, f"{section} must be {', '.join(_DEFINITIONS[section])}"))
        elif section == "e" and model["e"]["e"].value not in _EFFECTS:
            faults.append(("e", "the effect must allow only where a rule allows: " + " or ".join(_EFFECTS)))
        elif section == "m":
            faults += [("m", fault) for fault in _matcher_faults(model["m"]["m"].value)]
    return faults


def _matcher_faults(matcher: str) -> list[str]:
    if has_eval(matcher):
        return ["eval() would turn a policy value into code"]
    # The same spelling changes that Casbin makes before it parses.
    text = re.sub(r"!(?!=)", "not ", matcher.replace("&&", " and ").replace("||", " or "))
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except SyntaxError as fault:
        return [f"the matcher cannot be parsed: {fault.msg}"]
    faults, names = [], set()
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    for call in calls:
        if not (isinstance(call.func, ast.Name) and call.func.id == "g" and len(call.args) == 3 and not call.keywords):
            faults.append(
                f"only g(subject, role, domain) may be called, not {ast.unparse(call)}: a pattern opens accounts"
            )
    called = {id(call.func) for call in calls}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and id(node) not in called:
            names.add(node.id)
            if node.id not in _NAMES:
                faults.append(f"{node.id.replace('_', '.', 1)} is not defined by r or p")
        elif isinstance(node, ast.Constant):
            if node.value != "*":
                faults.append(f'only the constant "*" may stand in the matcher, not {node.value!r}')
        elif not isinstance(node, (ast.Name, ast.Call, *_HARMLESS)):
            faults.append(f"{type(node).__name__} may not stand in the matcher")
    missing = sorted({"r_sub", "r_dom", "r_act"} - names)
    faults += [f"the matcher does not look at {name.replace('_', '.', 1)}" for name in missing]
    if not calls:
        faults.append("the matcher does not call g, so roles mean nothing")
    return faults


def _line_of(text: str, key: str) -> int:
    """The line that defines a key, or 1."""
    lines = text.splitlines()
    return next((n for n, line in enumerate(lines, start=1) if re.match(rf"\s*{key}\s*=", line)), 1)


def _line_in(words: str) -> int:
    """The line that Casbin's reader names in its error, or 1."""
    found = re.search(r"line (\d+)", words)
    return int(found.group(1)) if found else 1
