"""The questions of the decision plane, read strictly: who, where, what, through which channel, and since when."""

from functools import partial
from typing import Final

from policy_service.pb import decision_pb2 as pb
from policy_service.rpc.bounds import TEXTS
from policy_service.rpc.fields import Fields, invalid, is_text, parse_text
from policy_service.vocabulary import (
    Action,
    Channel,
    Physician,
    User,
    digits,
    parse_action,
    parse_physician,
    parse_user,
)

_MOST_RESOURCE: Final = TEXTS["resource"]
_MOST_CORRELATION: Final = TEXTS["correlation_id"]

CHANNELS: Final[dict[int, Channel]] = {
    pb.CHANNEL_UNSPECIFIED: Channel.WEB,
    pb.CHANNEL_WEB: Channel.WEB,
    pb.CHANNEL_MOBILE: Channel.MOBILE,
}


def is_log_text(resource: str, correlation_id: str) -> bool:
    """May both stand in the log as they came?"""
    if not resource and not correlation_id:
        return True
    return is_text(resource, _MOST_RESOURCE) and is_text(correlation_id, _MOST_CORRELATION)


def parse_check(check: pb.CheckRequest) -> tuple[User, Physician, Action, Channel]:
    """Read a question; raises InvalidRequest, which names every field at fault. An unknown action is None."""
    with Fields() as fields:
        user = fields.read(parse_user, check.user)
        physician = fields.read(parse_physician, check.physician)
        action = fields.read(parse_action, check.action)
        channel = fields.read(parse_channel, check.channel)
        fields.read(partial(parse_text, field="resource", most=_MOST_RESOURCE), check.resource)
        fields.read(partial(parse_text, field="correlation_id", most=_MOST_CORRELATION), check.correlation_id)
    return user, physician, action, channel


def parse_history(name: str, revision: int, field: str = "history") -> int:
    """Read a history's name, which goes with a revision; raises InvalidRequest."""
    found = digits(name)
    if found is None:
        raise invalid(field, f"{field} is not the 16 hexadecimal digits that stood beside a revision")
    if not revision:
        raise invalid(field, f"{field} names whose revision min_revision is: give both, or neither")
    return found


def parse_channel(number: int) -> Channel:
    """Read a channel, the web where none is named; raises InvalidRequest."""
    if (channel := CHANNELS.get(number)) is None:
        raise invalid("channel", f"channel {number} is none of CHANNEL_WEB (1) and CHANNEL_MOBILE (2)")
    return channel
