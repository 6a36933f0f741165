"""What Prometheus reads. No label carries a name that came from outside."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge

from policy_service.vocabulary import Reason

registry = CollectorRegistry()

decisions = Counter("policy_decisions", "Questions answered, by reason.", ["reason"], registry=registry)
refusals = Counter("policy_refusals", "Calls answered with an error.", ["method", "code"], registry=registry)
refusals_held = Counter(
    "policy_refusals_held", "Refusals beyond a caller's budget, which waited for their turn.", registry=registry
)
revision = Gauge("policy_replica_revision", "The revision that answers rest on.", registry=registry)
age = Gauge("policy_replica_age_seconds", "Seconds since the database last confirmed it.", registry=registry)
decisions_lost = Counter("policy_decisions_lost", "Decisions not recorded, for want of room.", registry=registry)
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
task_failures = Counter(
    "policy_task_failures", "Ends of a background task that was to go on.", ["task"], registry=registry
)
tasks_down = Gauge(
    "policy_tasks_down", "1 from a background task's failure until it works again.", ["task"], registry=registry
)

by_reason = {reason: decisions.labels(reason.name.lower()) for reason in Reason}


def letters_not_done(counts: Mapping[str, int]) -> None:
    """Tell how many e-mails wait, by state; 0 for a state that has none."""
    for state in ("queued", "delayed", "failed"):
        _letters_waiting.labels(state).set(counts.get(state, 0))
