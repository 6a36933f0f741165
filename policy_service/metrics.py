"""What Prometheus reads. No label carries a name that came from outside; a caller's does where the policy knows it.

What changes by itself is told by the watch (rpc/readiness.py) twice a second.
"""

import sys
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from json import loads
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Info
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from policy_service import __version__
from policy_service.counting import Calls, WithNative
from policy_service.vocabulary import Reason

registry = CollectorRegistry()
ProcessCollector(registry=registry)
PlatformCollector(registry=registry)
GCCollector(registry=registry)

UNKNOWN_CALLER: Final = "unknown"
FOLLOWER_STATES: Final = ("following", "catching_up", "paused")

calls = Calls()
registry.register(calls)
with_native = WithNative(registry, calls)
"""The registry for a reader that takes OpenMetrics 2.0."""
calls_in_hand = Gauge("policy_calls_in_hand", "Calls that have a place, by plane.", ["plane"], registry=registry)
calls_turned_away = Counter(
    "policy_calls_turned_away", "Calls of the decision plane that gRPC refused before any handler.", registry=registry
)
slow_calls = Counter("policy_slow_calls", "Calls that took longer than is slow.", ["method"], registry=registry)
refusals = Counter("policy_refusals", "Calls answered with an error.", ["method", "code"], registry=registry)
refusals_held = Counter(
    "policy_refusals_held", "Refusals beyond a caller's budget, which waited for their turn.", registry=registry
)
limits_hit = Counter(
    "policy_limits_hit", "Calls refused by a limit, by caller and limit.", ["caller", "limit"], registry=registry
)
decisions = Counter("policy_decisions", "Questions answered, by reason.", ["reason"], registry=registry)
decisions_cold = Counter(
    "policy_decisions_cold", "Questions that Casbin was asked, as no answer was remembered.", registry=registry
)
revision = Gauge("policy_replica_revision", "The revision that answers rest on.", registry=registry)
behind = Gauge("policy_replica_behind", "Revisions that the database had, and this replica not yet.", registry=registry)
age = Gauge("policy_replica_age_seconds", "Seconds since the database last confirmed it.", registry=registry)
fresh = Gauge("policy_replica_fresh", "1: young enough to answer from.", registry=registry)
_follower = Gauge("policy_follower_state", "1 for the state that it is in.", ["state"], registry=registry)
pool = Gauge("policy_database_pool", "Connections by state, and who waits for one.", ["state"], registry=registry)
decisions_lost = Counter(
    "policy_decisions_lost", "Decisions not recorded, for want of room, by caller.", ["caller"], registry=registry
)
decisions_refused = Counter(
    "policy_decisions_refused", "Questions refused, as there was no room to record the answer.", registry=registry
)
decision_log_full = Gauge("policy_decision_log_full", "1: no room to record decisions.", registry=registry)
decisions_waiting = Gauge("policy_decision_log_waiting_bytes", "Recorded, not in the database yet.", registry=registry)
log_lines_lost = Counter(
    "policy_log_lines_lost", "Lines of the service's own log that could not be written.", registry=registry
)
letters = Counter("policy_letters", "Tries to send an e-mail, by what became of it.", ["state"], registry=registry)
letters_our_fault = Counter(
    "policy_letters_our_fault", "Tries that failed by this service or its mail server.", registry=registry
)
_letters_waiting = Gauge(
    "policy_letters_not_done", "E-mails that are waited for and not sent, by state.", ["state"], registry=registry
)
_letters_oldest = Gauge(
    "policy_letters_oldest_seconds", "For how long the oldest of them has been waiting.", ["state"], registry=registry
)
_checkpointed = Gauge(
    "policy_checkpoint_age_seconds",
    "Since a checkpoint was written or was the log's end; or the start.",
    registry=registry,
)
checkpoint_revision = Gauge("policy_checkpoint_revision", "The revision of the last one written.", registry=registry)
task_failures = Counter(
    "policy_task_failures", "Ends of a background task that was to go on.", ["task"], registry=registry
)
tasks_down = Gauge(
    "policy_tasks_down", "1 from a background task's failure until it works again.", ["task"], registry=registry
)
tls_until = Gauge(
    "policy_tls_expiry_timestamp_seconds",
    "When what is in force ends, in seconds since 1970: the service's certificate, its callers' authorities.",
    ["of"],
    registry=registry,
)
tls_files_unusable = Gauge(
    "policy_tls_files_unusable", "1: the TLS files cannot be used, those before are in force.", registry=registry
)
tls_reloads = Counter(
    "policy_tls_reloads",
    "Changes of the TLS files, by whether they were taken or refused.",
    ["result"],
    registry=registry,
)

by_reason = {reason: decisions.labels(reason.name.lower()) for reason in Reason}
# What is alerted on is there before it happens: a counter that begins at 1 has never grown.
for _state in ("sent", "bounced", "delayed", "failed", "dropped"):
    letters.labels(_state)
decisions_lost.labels(UNKNOWN_CALLER)

_known_callers: frozenset[str] = frozenset()


def know_callers(names: frozenset[str]) -> None:
    """The policy names these; no other name becomes a label."""
    global _known_callers
    if names != _known_callers:
        _known_callers = names
        for name in names:
            decisions_lost.labels(name)


def caller_label(caller: str) -> str:
    """A caller's name, if the policy knows it."""
    return caller if caller in _known_callers else UNKNOWN_CALLER


def follower_is(state: str) -> None:
    """Tell the state of the follower, one of ``FOLLOWER_STATES``."""
    for name in FOLLOWER_STATES:
        _follower.labels(name).set(name == state)


def letters_not_done(counts: Mapping[str, tuple[int, float]]) -> None:
    """Tell how many e-mails wait and since how many seconds the oldest, by state; 0 for a state that has none."""
    for state in ("queued", "delayed", "failed"):
        count, oldest = counts.get(state, (0, 0.0))
        _letters_waiting.labels(state).set(count)
        _letters_oldest.labels(state).set(oldest)


def checkpointed() -> None:
    """The last checkpoint is of the log's end now, or is not called for."""
    since = time.monotonic()
    _checkpointed.set_function(lambda: time.monotonic() - since)


def commit() -> str:
    """The commit that was installed, where the installer noted it (PEP 610); else empty."""
    try:
        noted = distribution("policy-service").read_text("direct_url.json")
    except PackageNotFoundError:
        return ""
    found = loads(noted or "{}").get("vcs_info", {})
    return str(found.get("commit_id", ""))


checkpointed()
follower_is("catching_up")
letters_not_done({})
build = Info("policy_build", "What runs here.", registry=registry)
build.info({"version": __version__, "commit": commit(), "python": ".".join(map(str, sys.version_info[:3]))})
