"""Answers auditors: who can and could do what, what differs, and whether the record is whole.

In come questions about a time or a period; out come answers that agree with
what Check said then, and verdicts that name each fault. Nothing here changes
the policy. Read ``reviews`` first.
"""

from policy_service.audit.checkpointing import Checkpointer
from policy_service.audit.differences import Difference, Interval, compare
from policy_service.audit.periods import Period, Span, Spans, period
from policy_service.audit.reviews import Access, AsOf, CustomRole, Held, Judged, Review, Reviews
from policy_service.audit.signing import checkpoint_key, own_signer, sign_statement
from policy_service.audit.verification import Verdict, verify

__all__ = [
    "Access",
    "AsOf",
    "Checkpointer",
    "CustomRole",
    "Difference",
    "Held",
    "Interval",
    "Judged",
    "Period",
    "Review",
    "Reviews",
    "Span",
    "Spans",
    "Verdict",
    "checkpoint_key",
    "compare",
    "own_signer",
    "period",
    "sign_statement",
    "verify",
]
