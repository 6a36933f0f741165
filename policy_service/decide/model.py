"""Reads and vets ``model.conf``: what Casbin is asked to evaluate.

Refuses a model under which a name could be a pattern or a policy value could be
code, and one that decides any of the questions of ``model_probes`` wrongly.
docs/decisions.md gives the reasons ("What a model may say").
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import casbin
from casbin.effect import get_effector
from casbin.util import SimpleEval, has_eval

from policy_service.decide import model_probes
from policy_service.policy_text import BrokenPolicy, Fault

_SECTIONS = {"r": "request_definition", "p": "policy_definition", "g": "role_definition"}
_DEFINITIONS = {"r": ["sub", "dom", "act"], "p": ["sub", "dom", "act", "eft"], "g": ["_", "_", "_"]}
_EFFECT = "some(where (p_eft == allow)) && !some(where (p_eft == deny))"
"""The effect with which a matcher is tried by itself."""
_KNOWN_SECTIONS = {*(f"[{title}]" for title in _SECTIONS.values()), "[policy_effect]", "[matchers]"}
_COMPARISONS = {
    *((f"{one}.{name}", f"{other}.{name}") for one, other in ("rp", "pr") for name in ("sub", "dom", "act")),
    *((f"p.{name}", '"*"') for name in ("dom", "act")),
    *(('"*"', f"p.{name}") for name in ("dom", "act")),
}


@dataclass(frozen=True, slots=True)
class Model:
    """A vetted model, kept as the definitions that Casbin's own reader found."""

    text: str
    """The file as it was read."""
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
        # Names are equal or not; Casbin's default would compare every pair of them by a function: n² for n grants.
        enforcer.get_role_manager().matching_func = None
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


def over(enforcer: casbin.Enforcer, rules: list[list[str]]) -> casbin.Enforcer:
    """The enforcer, looking at these rules from now on, and there must be some; its grants stay."""
    enforcer.model["p"]["p"].policy = rules
    return enforcer


def read_model(path: Path) -> Model:
    """Read a model file; raises BrokenPolicy with file, line and fault."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise BrokenPolicy(str(path), [Fault(line=1, text=f"cannot be read: {fault}")]) from fault
    return vetted_model(text, str(path))


@lru_cache(maxsize=8)
def vetted_model(text: str, name: str, *, as_it_was: bool = False) -> Model:
    """A model from its text; raises BrokenPolicy with line and fault.

    ``as_it_was`` is for questions about a past in which it was in force: what it
    decides is not judged, only that it is no code. Remembered, but for what is
    broken: a model is hundreds of questions, and the answer is always the same.
    """
    model = casbin.Model()
    try:
        model.load_model_from_text(text)
    except Exception as fault:  # Casbin's reader raises bare RuntimeErrors; its words become ours.
        raise BrokenPolicy(name, [Fault(line=_line_in(str(fault)), text=str(fault))]) from fault
    faults = [Fault(line=_line_of(text, key), text=words) for key, words in _faults(model)]
    faults += [
        Fault(line=number, text=f"section {line.strip()} is unknown, and would be passed over")
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip().startswith("[") and line.strip() not in _KNOWN_SECTIONS
    ]
    if faults:
        raise BrokenPolicy(name, faults)
    found = Model(
        text,
        tuple((section, key, assertion.value) for section in "rpgem" for key, assertion in model[section].items()),
        casbin.Enforcer._get_expression(model["m"]["m"].value).ast_parsed_value,  # noqa: SLF001 - see _Enforcer.
    )
    if not as_it_was and (faults := list(_wrong_decisions(found))):
        raise BrokenPolicy(name, faults)
    return found


def _wrong_decisions(model: Model) -> Iterator[Fault]:
    """What the model as a whole decides as it must not, at the line of the part whose fault it is."""
    # With the matcher alone at hand, what goes wrong still is the matcher's; what no longer does was the effect's.
    alone = replace(model, definitions=tuple((s, k, _EFFECT if s == "e" else v) for s, k, v in model.definitions))
    if wrong := model_probes.wrong_alone(alone.enforcer):
        yield Fault(line=_line_of(model.text, "m"), text=wrong)
        return
    matchers = {probe.name for probe in model_probes.failed(alone.enforcer)}
    for probe in model_probes.failed(model.enforcer):
        part = "m" if probe.name in matchers else "e"
        must = "allow" if probe.allowed else "deny"
        text = f"it must {must} {probe.asked} where {probe.name}, and does not: {probe.meaning}"
        yield Fault(line=_line_of(model.text, part), text=text)


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
        elif section == "e" and (fault := _effect_fault(model["e"]["e"].value)):
            faults.append(("e", fault))
        elif section == "m":
            faults += [("m", fault) for fault in _matcher_faults(model["m"]["m"].value)]
    return faults


def _effect_fault(effect: str) -> str | None:
    """An effect that Casbin does not know would fail at the first question."""
    try:
        get_effector(effect)
    except RuntimeError:
        return f"Casbin knows no effect {effect.replace('p_eft', 'p.eft')}"
    return None


def _matcher_faults(matcher: str) -> list[str]:
    if has_eval(matcher):
        return ["eval() would turn a policy value into code"]
    # The same spelling changes that Casbin makes before it parses.
    text = re.sub(r"!(?!=)", "not ", matcher.replace("&&", " and ").replace("||", " or "))
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        return _term_faults(tree)
    except SyntaxError as fault:
        return [f"the matcher cannot be parsed: {fault.msg}"]
    except (RecursionError, MemoryError):
        return ["the matcher is nested too deeply"]


def _term_faults(term: ast.expr) -> list[str]:
    """What may not stand in a matcher: anything but g(r.sub, p.sub, r.dom), ==, && and ||."""
    if isinstance(term, ast.BoolOp):
        return [fault for part in term.values for fault in _term_faults(part)]
    words = _words(term)
    if words == "g(r.sub, p.sub, r.dom)":
        return []
    if isinstance(term, ast.Compare) and words.partition(" == ")[::2] in _COMPARISONS:
        return []
    return [f'{words} may not stand in the matcher; it takes g(r.sub, p.sub, r.dom), r.X == p.X and p.X == "*"']


def _words(term: ast.expr) -> str:
    """A part of the matcher, spelt as in the file."""
    return re.sub(r"\b([rp])_(sub|dom|act|eft)\b", r"\1.\2", ast.unparse(term)).replace("'*'", '"*"')


def _line_of(text: str, key: str) -> int:
    """The line that defines a key, or 1."""
    lines = text.splitlines()
    return next((n for n, line in enumerate(lines, start=1) if re.match(rf"\s*{key}\s*=", line)), 1)


def _line_in(words: str) -> int:
    """The line that Casbin's reader names in its error, or 1."""
    found = re.search(r"line (\d+)", words)
    return int(found.group(1)) if found else 1
