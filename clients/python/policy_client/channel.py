"""How to reach the service: addresses, channels, transport security, retries; blocking and asyncio alike."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import grpc

from policy_client.environment import CALLER_TIMEOUT_SECONDS, given
from policy_client.targets import may_be_many, read_addresses, refuse_plain_text_abroad
from policy_client.transport import credentials_from_environment
from policy_client.turns import LONGEST_PAUSE, MOST_TOKENS, PAUSE, RETRIED, TOKENS_BACK

DECISION_TARGET: Final = "127.0.0.1:50051"
MANAGEMENT_TARGET: Final = "127.0.0.1:50052"
TIMEOUT: Final = 2.0
"""Seconds that a call may take, retries included, unless told otherwise."""

LIST_TIMEOUT: Final = 15.0
"""The same for each page of a list, which may ask about thousands of users or accounts for the first time."""

SEED_TIMEOUT: Final = 300.0
"""The same for a seed: applying looks at every account again, and lint at every line of a hostile text."""

Options = Sequence[tuple[str, Any]]
Target = str | Sequence[str]
"""One address, several with commas between, or a list of them."""
Credentials = grpc.ChannelCredentials | Literal["environment"] | None
"""As a client takes them: from the environment's files unless given; None is plain text, for this machine alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Where a service is and how it is spoken to."""

    target: str
    """All addresses, for words."""
    addresses: tuple[str, ...]
    timeout: float
    credentials: grpc.ChannelCredentials | None
    options: tuple[tuple[str, Any], ...]
    """The caller's own."""

    def each(self) -> tuple["Reach", ...]:
        """How each address is reached, by a channel of its own."""
        alone = len(self.addresses) == 1
        return tuple(
            replace(
                self,
                target=address,
                addresses=(address,),
                options=(("grpc.service_config", _service_config(address, alone=alone)), *self.options),
            )
            for address in self.addresses
        )


def _service_config(address: str, *, alone: bool) -> str:
    """What gRPC itself does about an address: spreads, leaves out what is not well, tries again."""
    method: dict[str, Any] = {"name": [{}]}
    config: dict[str, Any] = {"loadBalancingConfig": [{"round_robin": {}}], "methodConfig": [method]}
    if not alone or may_be_many(address):
        # Of the whole plane: what one service of it cannot do now it says better itself.
        config["healthCheckConfig"] = {"serviceName": ""}
    if alone:
        # Nearly always the service did not act. A write whose answer was lost on the way carries an idempotency key,
        # so that asking again does no harm. Among several addresses the next is asked instead (turns.py).
        method["retryPolicy"] = {
            "maxAttempts": 5,
            "initialBackoff": f"{PAUSE}s",
            "maxBackoff": f"{LONGEST_PAUSE}s",
            "backoffMultiplier": 2,
            "retryableStatusCodes": [code.name for code in RETRIED],
        }
        config["retryThrottling"] = {"maxTokens": MOST_TOKENS, "tokenRatio": TOKENS_BACK}
    return json.dumps(config)


def read_reach(
    target: Target | None,
    timeout: float | None,
    credentials: Credentials,
    options: Options,
    *,
    variable: str,
    default_target: str,
) -> Reach:
    """What is given, else what the environment says, else the default.

    Raises ValueError, naming what is at fault, also for plain text beyond this machine.
    """
    if target is not None:
        addresses = read_addresses(target, "target")
    else:
        addresses = read_addresses(given(variable) or default_target, variable)
    if credentials == "environment":
        credentials = credentials_from_environment()
    elif credentials is not None and not isinstance(credentials, grpc.ChannelCredentials):
        raise TypeError(f"credentials is {type(credentials).__name__}; see credentials_from_files")
    refuse_plain_text_abroad(addresses, credentials)
    return Reach(
        target=",".join(addresses),
        addresses=addresses,
        timeout=_timeout_from_environment() if timeout is None else read_timeout(timeout),
        credentials=credentials,
        options=tuple(options),
    )


def read_timeout(seconds: object, name: str = "timeout") -> float:
    """A time to wait that ends. Raises ValueError and TypeError."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError(f"{name} is {type(seconds).__name__}, not a number of seconds")
    if not (seconds > 0 and math.isfinite(seconds)):
        raise ValueError(f"{name} is {seconds}; give a number of seconds above 0")
    return float(seconds)


def _timeout_from_environment() -> float:
    text = given(CALLER_TIMEOUT_SECONDS)
    if text is None:
        return TIMEOUT
    try:
        seconds = float(text)
    except ValueError:
        raise ValueError(f"{CALLER_TIMEOUT_SECONDS} {text!r} is not a number of seconds") from None
    return read_timeout(seconds, CALLER_TIMEOUT_SECONDS)


def channel_options(more: Options) -> list[tuple[str, Any]]:
    """Options of every channel, then those of this one."""
    return [
        # Questions about people go straight to the service, never by way of an http_proxy in the environment.
        ("grpc.enable_http_proxy", 0),
        ("grpc.enable_retries", 1),
        # A service that restarts is found again soon, not after gRPC's minute.
        ("grpc.initial_reconnect_backoff_ms", 100),
        # This one is also how long a connection may take to be made.
        ("grpc.min_reconnect_backoff_ms", 1_000),
        ("grpc.max_reconnect_backoff_ms", 1_000),
        # And servers that took others' place under one name: gRPC asks for it again after half a minute at the soonest.
        ("grpc.dns_min_time_between_resolutions_ms", 1_000),
        # While a call or a watch of health is open; not more often than the service allows (rpc/server.py).
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        # What is wrong with many fields comes in the trailers; gRPC's 8 KB would make another error of it.
        ("grpc.max_metadata_size", 64 << 10),
        ("grpc.absolute_max_metadata_size", 64 << 10),
        *more,
    ]
