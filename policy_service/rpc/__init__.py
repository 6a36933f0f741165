"""gRPC: the two planes, their messages, and the border where our errors become statuses.

In come calls; out come answers, or a refusal with its reason and the field at
fault. Who calls is known, and what they send is bounded, before anything is made
of it. Nothing else here decides. Read ``server`` first, then ``guard``; a handler
reads decode, decide, encode.
"""

from policy_service.rpc import direct
from policy_service.rpc.audit import AuditService
from policy_service.rpc.callers import CallersService
from policy_service.rpc.certificates import RELOADING
from policy_service.rpc.cursors import Cursors
from policy_service.rpc.decision import DecisionService
from policy_service.rpc.manage_users import ManageUsersService
from policy_service.rpc.methods import contract_methods
from policy_service.rpc.metrics_http import showing_metrics
from policy_service.rpc.reach import Reaches
from policy_service.rpc.readiness import FOLLOWING, SENDING, Readiness, say_readiness
from policy_service.rpc.seeds import SeedService, parse_reason
from policy_service.rpc.server import AUDIT, CALLERS, MANAGE_USERS, RECORDING, SEEDS, Planes, serving
from policy_service.rpc.verify_log import LogWalk

__all__ = [
    "AUDIT",
    "CALLERS",
    "FOLLOWING",
    "MANAGE_USERS",
    "RECORDING",
    "RELOADING",
    "SEEDS",
    "SENDING",
    "AuditService",
    "CallersService",
    "Cursors",
    "DecisionService",
    "LogWalk",
    "ManageUsersService",
    "Planes",
    "Reaches",
    "Readiness",
    "SeedService",
    "contract_methods",
    "direct",
    "parse_reason",
    "say_readiness",
    "serving",
    "showing_metrics",
]
