"""The built-in policy: what another one would do, to whom, and doing exactly that.

In come rows; out come a plan in people, guards that it meets, and a change of
the store that is what was planned or nothing. Read ``plan`` first.
"""

from policy_service.seed import install
from policy_service.seed.errors import ActionInUse, PlanMoved, WidenedCallers
from policy_service.seed.guards import widened
from policy_service.seed.impact import Group, Membership
from policy_service.seed.lines import csv_lines, ordered
from policy_service.seed.plan import (
    NAMED,
    SeedPlans,
    in_turn,
    plan_in_parts,
    propose,
)
from policy_service.seed.policy_tests import Result, Tested, run
from policy_service.seed.rewrite import rewritten
from policy_service.seed.values import Plan, Planned, Target

__all__ = [
    "NAMED",
    "ActionInUse",
    "Group",
    "Membership",
    "Plan",
    "PlanMoved",
    "Planned",
    "Result",
    "SeedPlans",
    "Target",
    "Tested",
    "WidenedCallers",
    "csv_lines",
    "in_turn",
    "install",
    "ordered",
    "plan_in_parts",
    "propose",
    "rewritten",
    "run",
    "widened",
]
