"""How to reach the service: channel, transport security, retries; blocking and asyncio alike."""

import ipaddress
import json
from collections.abc import Sequence
from typing import Any, Final

import grpc

DECISION_TARGET: Final = "127.0.0.1:50051"
MANAGEMENT_TARGET: Final = "127.0.0.1:50052"
TIMEOUT: Final = 2.0
"""Seconds that a call may take, retries included, unless told otherwise."""

_SERVICE_CONFIG: Final = json.dumps(
    {
        "loadBalancingConfig": [{"round_robin": {}}],
        "methodConfig": [
            {
                "name": [{}],
                # UNAVAILABLE alone: nearly always the service did not act. A write whose answer was lost on the way
                # carries an idempotency key, so that asking again does no harm.
                "retryPolicy": {
                    "maxAttempts": 4,
                    "initialBackoff": "0.05s",
                    "maxBackoff": "0.5s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ],
    }
)

LIST_TIMEOUT: Final = 15.0
"""The same for each page of a list, which may ask about thousands of users or accounts for the first time."""

Options = Sequence[tuple[str, Any]]


def channel_options(more: Options) -> list[tuple[str, Any]]:
    """Options of every channel, then the caller's own."""
    return [
        # Questions about people go straight to the service, never by way of an http_proxy in the environment.
        ("grpc.enable_http_proxy", 0),
        ("grpc.enable_retries", 1),
        ("grpc.service_config", _SERVICE_CONFIG),
        # A service that restarts is found again soon, not after gRPC's minute.
        ("grpc.initial_reconnect_backoff_ms", 100),
        # This one is also how long a connection may take to be made.
        ("grpc.min_reconnect_backoff_ms", 1_000),
        ("grpc.max_reconnect_backoff_ms", 1_000),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        *more,
    ]


def refuse_plain_text_abroad(target: str, credentials: grpc.ChannelCredentials | None) -> None:
    """Raise ValueError if names and rights would cross a network unencrypted."""
    if credentials is None and not stays_here(target):
        raise ValueError(
            f"{target} is not on this machine: give credentials=grpc.ssl_channel_credentials(...), with this "
            "service's certificate and key"
        )


def stays_here(target: str) -> bool:
    """Is the target on this machine, so that no network sees what is said?"""
    if target.startswith(("unix:", "unix-abstract:")):
        return True
    address = target.rpartition("/")[2]
    host = address.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
