"""Answers a question from rows, by Casbin: the only importer of casbin.

In come a model and rows; out come answers with their reason, for one account
(``Account``) or for all at one revision (``Snapshot``). A remembered answer
equals a fresh one, always. Nothing here awaits, reads a database or a clock.
Read ``engine`` and ``account`` first, then ``snapshot``.
"""

from policy_service.decide.account import Account
from policy_service.decide.callers import EVERYWHERE, Callers, Reach
from policy_service.decide.engine import Basis
from policy_service.decide.errors import UnknownAction, UnknownPhysician
from policy_service.decide.explanation import Explanation
from policy_service.decide.model import Model, read_model, vetted_model
from policy_service.decide.shapes import Outcomes, Shape, Shapes, shape_of, shapes_of
from policy_service.decide.snapshot import Snapshot

__all__ = [
    "EVERYWHERE",
    "Account",
    "Basis",
    "Callers",
    "Explanation",
    "Model",
    "Outcomes",
    "Reach",
    "Shape",
    "Shapes",
    "Snapshot",
    "UnknownAction",
    "UnknownPhysician",
    "read_model",
    "shape_of",
    "shapes_of",
    "vetted_model",
]
