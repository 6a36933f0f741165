"""An independent idea of the policy: plain sets, no Casbin, nothing shared with the service but the rows."""

from collections.abc import Iterable
from dataclasses import dataclass

ACTIONS = [
    "claim:view",
    "claim:save",
    "claim:submit",
    "claim:delete",
    "report:generate",
    "report:patient_details",
    "invoice:view",
    "invoice:pay",
    "user:list",
    "user:invite",
    "user:edit",
    "user:revoke",
    "app:mobile",
]

# The table of DESIGN, written out by hand.
TABLE = {
    "owner": set(ACTIONS),
    "financial_viewer": {"claim:view", "report:generate", "report:patient_details", "invoice:view", "invoice:pay"},
    "data_entry": {"claim:view", "claim:save", "claim:submit", "claim:delete"},
    "administrator": set(ACTIONS) - {"user:invite", "user:edit", "user:revoke", "app:mobile"},
}

Line = tuple[str, ...]


@dataclass
class Oracle:
    """Answers from rows ``("p", sub, dom, act, eft)`` and ``("g", sub, role, dom)``."""

    lines: set[Line]

    def physicians(self) -> set[str]:
        domains = {line[2] if line[0] == "p" else line[3] for line in self.lines if line[0] != "a"}
        return {domain.removeprefix("physician:") for domain in domains if domain.startswith("physician:")}

    def actions(self) -> list[str]:
        """Every action that there is, in the order of places."""
        told = [line for line in self.lines if line[0] == "a"]
        return [line[1] for line in sorted(told, key=lambda line: int(line[2].split()[0]))]

    def marked(self, mark: str) -> set[str]:
        """The actions that bear a mark."""
        return {line[1] for line in self.lines if line[0] == "a" and mark in line[4].rpartition("|")[2].split()}

    def in_the_app(self, action: str) -> set[str] | None:
        """What must be allowed beside an action in the mobile app; None where nothing helps."""
        gates = self.marked("opens=mobile")
        return gates if gates and action not in self.marked("not-mobile") else None

    def users(self, physician: str) -> set[str]:
        return {line[1][5:] for line in self._of(physician) if line[1].startswith("user:")}

    def _of(self, physician: str) -> list[Line]:
        domain = f"physician:{physician}"
        return [line for line in self.lines if domain in ((line[2],) if line[0] == "p" else (line[3],))]

    def _roles(self, user: str, physician: str) -> set[str]:
        held = {f"user:{user}"}
        grants = [line for line in self._of(physician) if line[0] == "g"]
        while more := {line[2] for line in grants if line[1] in held} - held:
            held |= more
        return held

    def _effects(self, user: str, physician: str, action: str) -> set[str]:
        held = self._roles(user, physician)
        rules = [line for line in self._of(physician) if line[0] == "p"]
        rules += [line for line in self.lines if line[0] == "p" and line[2] == "*"]
        return {line[4] for line in rules if line[1] in held and line[3] in (action, "*")}

    def allows(self, user: str, physician: str, action: str) -> bool:
        return self._effects(user, physician, action) == {"allow"}

    def reason(self, user: str, physician: str, action: str, mobile: bool) -> str:
        """The name of the Reason."""
        if physician not in self.physicians():
            return "UNKNOWN_PHYSICIAN"
        if action not in self.actions():
            return "UNKNOWN_ACTION"
        effects = self._effects(user, physician, action)
        if "deny" in effects:
            return "DENIED_BY_RULE"
        if not effects:
            member = any(line[0] == "g" and line[1] == f"user:{user}" for line in self._of(physician))
            return "NOT_GRANTED" if member else "NOT_A_MEMBER"
        if mobile:
            beside = self.in_the_app(action)
            if beside is None or not all(self.allows(user, physician, gate) for gate in beside):
                return "CHANNEL_NOT_ALLOWED"
        return "GRANTED"


def lines_of(rows: Iterable) -> set[Line]:
    """The service's rows as the oracle's lines."""
    return {(row.ptype, *row.values) for row in rows}
