"""What Prometheus reads. No label carries a name that came from outside."""

from prometheus_client import CollectorRegistry, Counter, Gauge

from policy_service.vocabulary import Reason

registry = CollectorRegistry()

decisions = Counter("policy_decisions", "Questions answered, by reason.", ["reason"], registry=registry)
refusals = Counter("policy_refusals", "Calls answered with an error.", ["method", "code"], registry=registry)
revision = Gauge("policy_replica_revision", "The revision that answers rest on.", registry=registry)
age = Gauge("policy_replica_age_seconds", "Seconds since the database last confirmed it.", registry=registry)
decisions_lost = Counter("policy_decisions_lost", "Decisions not recorded, for want of room.", registry=registry)
decisions_waiting = Gauge("policy_decision_log_waiting_bytes", "Recorded, not in the database yet.", registry=registry)

by_reason = {reason: decisions.labels(reason.name.lower()) for reason in Reason}
