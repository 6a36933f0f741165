"""A small claims service that asks before each operation.

Run it beside a service with the demo accounts (``make run``)::

    .venv/bin/python examples/claims_service.py

Each function begins with ``require``: what follows runs only when the policy
says yes. A deny raises AccessDenied; if the policy service cannot answer, that
is an error too, and nothing is done.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from policy_client import AccessDenied, Channel, PolicyClient


@dataclass
class Claims:
    """Claims of all physicians, each operation guarded."""

    policy: PolicyClient
    drafts: dict[str, str] = field(default_factory=dict)

    def save(self, user: str, physician: str, claim: str, text: str) -> str:
        self.policy.require(user, physician, "claim:save", resource=f"claim/{claim}")
        self.drafts[claim] = text
        return f"claim {claim} saved"

    def submit(self, user: str, physician: str, claim: str, *, channel: Channel = Channel.WEB) -> str:
        self.policy.require(user, physician, "claim:submit", channel=channel, resource=f"claim/{claim}")
        return f"claim {claim} submitted: {self.drafts[claim]}"

    def report(self, user: str, physician: str) -> str:
        self.policy.require(user, physician, "report:generate")
        # One rule more for what the report may show: the feature is hidden, not the report.
        named = self.policy.check(user, physician, "report:patient_details")
        return f"report of {len(self.drafts)} claims, " + ("with patients' names" if named else "names left out")


def attempt(what: str, operation: Callable[[], str]) -> None:
    try:
        print(f"{what}: {operation()}")
    except AccessDenied as denied:
        print(f"{what}: refused, {denied}")


def main() -> None:
    with PolicyClient() as policy:
        claims = Claims(policy)
        attempt("Mia saves for Dr. Osei", lambda: claims.save("mia", "dr-osei", "c1", "A007, 2026-11-20"))
        attempt("Mia submits it", lambda: claims.submit("mia", "dr-osei", "c1"))
        attempt("Mia submits from her phone", lambda: claims.submit("mia", "dr-osei", "c1", channel=Channel.MOBILE))
        attempt("Mia asks for a report", lambda: claims.report("mia", "dr-osei"))
        attempt("Noah asks for a report", lambda: claims.report("noah", "dr-osei"))
        attempt("Vera asks for Dr. Tran's report", lambda: claims.report("vera", "dr-tran"))


if __name__ == "__main__":
    main()
