"""What Prometheus reads. No label carries a name that came from outside."""

from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

from policy_service.vocabulary import Reason

registry = CollectorRegistry()

decisions = Counter("policy_decisions", "Questions answered, by reason.", ["reason"], registry=registry)
refusals = Counter("policy_refusals", "Calls answered with an error.", ["method", "code"], registry=registry)
revision = Gauge("policy_replica_revision", "The revision that answers rest on.", registry=registry)
age = Gauge("policy_replica_age_seconds", "Seconds since the database last confirmed it.", registry=registry)
decisions_lost = Counter("policy_decisions_lost", "Decisions not recorded, for want of room.", registry=registry)
decisions_refused = Counter(
    "policy_decisions_refused", "Questions refused, as there was no room to record the answer.", registry=registry
)
decision_log_full = Gauge("policy_decision_log_full", "1: no room to record decisions.", registry=registry)
decisions_waiting = Gauge("policy_decision_log_waiting_bytes", "Recorded, not in the database yet.", registry=registry)

by_reason = {reason: decisions.labels(reason.name.lower()) for reason in Reason}


def listen(address: str) -> None:
    """Serve the text format on HOST:PORT, from a thread that ends with the process."""
    host, _, port = address.rpartition(":")
    start_http_server(int(port), addr=host.strip("[]"), registry=registry)
