"""An explanation for a person, in one sentence."""

from typing import assert_never

from policy_service.decide import Explanation
from policy_service.pb import decision_pb2 as pb
from policy_service.vocabulary import (
    ANY,
    Channel,
    Reason,
)


def sentence(check: pb.CheckRequest, channel: Channel, found: Explanation) -> str:
    """The explanation for a person, in one sentence."""
    who, where, what = check.user, check.physician, check.action
    via = " in the mobile app" if channel is Channel.MOBILE else ""
    rule, outcome = found.rule, found.outcome
    held = f"{who} is {' and '.join(found.roles)} for {where}" if found.roles else f"{who} has no role for {where}"
    chain = "".join(f", which includes {role}" for _, role in found.path[1:])
    match outcome.reason:
        case Reason.GRANTED:
            through = f"as {outcome.role}{chain}" if outcome.role else "by a rule of their own"
            scope = "everything" if rule is not None and rule.action == ANY else what
            return f"{who} may {what} for {where}{via}: {through}, {scope} is allowed."
        case Reason.DENIED_BY_RULE:
            through = f"as {outcome.role}{chain}" if outcome.role else "by a rule of their own"
            return f"{who} may not {what} for {where}{via}: {through}, a rule denies it, and a deny always wins."
        case Reason.NOT_A_MEMBER:
            return f"{who} may not {what} for {where}{via}: {held}."
        case Reason.NOT_GRANTED:
            return f"{who} may not {what} for {where}{via}: {held}, and that does not allow {what}."
        case Reason.CHANNEL_NOT_ALLOWED:
            if found.missing is None:
                return f"{who} may {what} for {where}, but not{via}: it cannot be done there."
            return (
                f"{who} may {what} for {where}, but not{via}: {held}, and that does not allow {found.missing.action}."
            )
        case Reason.UNKNOWN_ACTION:
            return f"{who} may not {what} for {where}: there is no such action."
        case Reason.UNKNOWN_PHYSICIAN:
            return f"{who} may not {what} for {where}: no physician is registered under that name."
        case _:
            assert_never(outcome.reason)
