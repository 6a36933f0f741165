"""Says in plain words why no service answered, where gRPC alone knows and says it in its own."""

from typing import Final

import grpc

from policy_client.channel import Reach
from policy_client.environment import CALLER_CERT_FILE, DECISION_ADDRESS, MANAGEMENT_ADDRESS, SERVER_CA_FILE

NOBODY: Final = "nothing listens"
"""How the words begin where no program is at the address."""
_DECISION_SERVICE: Final = "policy.v1.DecisionService"


def plain_words(code: grpc.StatusCode, details: str, path: str, reach: Reach) -> str:
    """What happened and what to look at, then gRPC's own words."""
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return f"{_other_port(path, reach.target)} ({details})"
    if code is grpc.StatusCode.UNAVAILABLE and (found := _cause(details, reach)):
        return f"{found} ({details})"
    return details


def _other_port(path: str, target: str) -> str:
    service, _, method = path.removeprefix("/").partition("/")
    here, there, name = ("management", "decision", DECISION_ADDRESS)
    if service != _DECISION_SERVICE:
        here, there, name = ("decision", "management", MANAGEMENT_ADDRESS)
    return (
        f"{target} does not know {service.rpartition('.')[2]}/{method}: this looks like the {here} plane's port, and "
        f"that is asked at the {there} plane's ({name}); or the service is of another release"
    )


def _cause(details: str, reach: Reach) -> str | None:
    """The first that fits; what is certain stands before what is likely."""
    target = reach.target
    if "WRONG_VERSION_NUMBER" in details:
        return f"{target} speaks plain text, not TLS: leave the credentials out, or ask at a port with TLS"
    if "Hostname Verification Check failed" in details:
        return f"the certificate of {target} is of another name: ask at the name that it holds"
    if "CERTIFICATE_VERIFY_FAILED" in details:
        return f"the certificate of {target} is not signed by whom this client trusts: see {SERVER_CA_FILE}"
    if "Failed to create security handshaker" in details:
        return "the credentials cannot be used: certificates and key must be PEM, and belong together"
    if "HTTP/2" in details or "http1" in details:
        return f"{target} answers, but not in gRPC: is it another program's port, or the one for metrics?"
    if "backend unhealthy" in details:
        return f"{target} says that it is not serving now: it stops, or cannot answer safely"
    if "Domain name not found" in details:
        return f"the name of {target} is not known here"
    if "Connection refused" in details or "No such file" in details:
        return f"{NOBODY} at {target}"
    if "Socket closed" in details or "Connection reset" in details:
        if reach.credentials is None:
            return f"{target} closed the connection at once: does it speak TLS? Then set {SERVER_CA_FILE} and the like"
        return (
            f"{target} closed the connection: it may not take this client's certificate, or want one "
            f"({CALLER_CERT_FILE})"
        )
    return None
