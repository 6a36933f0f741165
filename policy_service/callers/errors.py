"""What is refused to whoever changes callers."""

from dataclasses import dataclass

from policy_service.errors import Kind, PolicyError


@dataclass(kw_only=True)
class CallerExists(PolicyError):
    """This caller has a token or rights of its own already: change, rotate or remove it."""

    kind = Kind.EXISTS
    reason = "CALLER_EXISTS"
    caller: str


@dataclass(kw_only=True)
class UnknownCaller(PolicyError):
    """No such caller has a right or a token."""

    kind = Kind.NOT_FOUND
    reason = "UNKNOWN_CALLER"
    caller: str


@dataclass(kw_only=True)
class UnknownToken(PolicyError):
    """This caller has no such token, or it was ended already."""

    kind = Kind.NOT_FOUND
    reason = "UNKNOWN_TOKEN"
    caller: str
    token_id: str


@dataclass(kw_only=True)
class TooManyCallers(PolicyError):
    """As many callers as may have tokens or rights of their own."""

    reason = "TOO_MANY_CALLERS"
    most: int


@dataclass(kw_only=True)
class RotationUnderWay(PolicyError):
    """Two tokens of this caller are valid: remove the one that it does not use, or wait until the older one ends."""

    reason = "ROTATION_UNDER_WAY"
    caller: str
    tokens: tuple[str, ...]
    """Their ids, the older first."""


@dataclass(kw_only=True)
class CallerNotLimited(PolicyError):
    """The seed lets this caller call the same for every physician, so that naming some would limit nothing."""

    reason = "CALLER_NOT_LIMITED"
    caller: str
    methods: tuple[str, ...]
