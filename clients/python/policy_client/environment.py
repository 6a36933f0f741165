"""What the client takes from the environment where its caller says nothing: ``POLICY_*``, shared with the command.

The two addresses have the names of the service's own settings: where it listens is where it is asked. The files have
names of their own, since the service's certificate (``POLICY_TLS_CERT_FILE``) is never a caller's.
"""

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

DECISION_ADDRESS: Final = "POLICY_DECISION_ADDRESS"
MANAGEMENT_ADDRESS: Final = "POLICY_MANAGEMENT_ADDRESS"
SERVER_CA_FILE: Final = "POLICY_SERVER_CA_FILE"
CALLER_CERT_FILE: Final = "POLICY_CALLER_CERT_FILE"
CALLER_KEY_FILE: Final = "POLICY_CALLER_KEY_FILE"
CALLER_TOKEN_FILE: Final = "POLICY_CALLER_TOKEN_FILE"  # noqa: S105 - its name.
CALLER_TOKEN: Final = "POLICY_CALLER_TOKEN"  # noqa: S105 - its name.
CALLER_TIMEOUT_SECONDS: Final = "POLICY_CALLER_TIMEOUT_SECONDS"
CONTEXT: Final = "POLICY_CONTEXT"
CONFIG: Final = "POLICY_CONFIG"

CALLERS_OWN: Final[Mapping[str, str]] = MappingProxyType(
    {
        SERVER_CA_FILE: "Who signed the service's certificate, PEM",
        CALLER_CERT_FILE: "This caller's certificate chain, PEM",
        CALLER_KEY_FILE: "Its key, PEM",
        CALLER_TOKEN_FILE: "This caller's token, in a file of its own",
        CALLER_TOKEN: "This caller's token",
        CALLER_TIMEOUT_SECONDS: "Seconds that a call may take",
        CONTEXT: "The context of the callers' file that gives what is not set here; none: no context",
        CONFIG: "The callers' file; unset: policy-service/config.toml in XDG_CONFIG_HOME or ~/.config",
    }
)
"""Names that callers alone read, with their meaning; the service lets them stand beside its own."""

SECRET: Final = frozenset({CALLER_TOKEN})
"""Those of them whose values are never shown."""


def given(name: str) -> str | None:
    """The value, or None where there is none. Raises ValueError for an empty one, which is most often a slip."""
    value = os.environ.get(name)
    if value == "":
        raise ValueError(f"{name} is empty; unset it for the default")
    return value
