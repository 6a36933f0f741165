"""Reads the address of a service, HOST:PORT as a rule, and says of a wrong one what to write instead."""

import ipaddress
import re
from typing import Final

import grpc

_SCHEMES: Final = ("dns", "ipv4", "ipv6", "unix", "unix-abstract")
"""gRPC's ways to write an address that are taken as they are; what else ends in a colon is no address."""

_HOST: Final = r"\[[0-9A-Fa-f:.%a-z]+\]|[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_.])?"
_WITH_PORT: Final = re.compile(rf"(?P<host>{_HOST}):(?P<port>\d+)", re.ASCII)
_WITHOUT_PORT: Final = re.compile(rf"(?P<host>{_HOST}):?", re.ASCII)
_URL: Final = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>.*)", re.DOTALL)


def read_target(text: object, name: str) -> str:
    """The address, if it is one. Raises ValueError that begins with ``name`` and says how to write it."""
    if not isinstance(text, str):
        raise TypeError(f"{name} is {type(text).__name__}, not a string as 127.0.0.1:50051")
    if not text:
        raise ValueError(f"{name} is empty: write HOST:PORT, as 127.0.0.1:50051")
    if text != text.strip():
        raise ValueError(f"{name} {text!r} has a space or a line's end around it: leave that out")
    scheme, rest = _split(text)
    if scheme in ("unix", "unix-abstract"):
        if not rest.strip("/"):
            raise ValueError(f"{name} {text!r} names no socket: write {scheme}:/run/policy.sock")
        return text
    if scheme is not None and scheme not in _SCHEMES:
        address = rest.rstrip("/")
        raise ValueError(
            f"{name} {text!r} begins with {scheme}://, which has no place here: write HOST:PORT, as {address}"
        )
    for address in rest.split(",") if scheme in ("ipv4", "ipv6") else [rest]:
        _refuse_fault(address, text, name)
    return text


def _split(text: str) -> tuple[str | None, str]:
    """The scheme, if there is one, and what it leads to."""
    if url := _URL.fullmatch(text):
        scheme, rest = url["scheme"].lower(), url["rest"]
        # dns:///HOST:PORT; with a name server of one's own between the slashes the answer could be anybody's.
        return scheme, rest.removeprefix("/") if scheme == "dns" else rest
    for scheme in _SCHEMES:
        if text.startswith(f"{scheme}:") and not re.fullmatch(r"\d+", text.removeprefix(f"{scheme}:")):
            return scheme, text.removeprefix(f"{scheme}:")
    return None, text


def _refuse_fault(address: str, text: str, name: str) -> None:
    if whole := _WITH_PORT.fullmatch(address):
        if not 1 <= int(whole["port"]) <= 65_535:
            raise ValueError(f"{name} {text!r} has the port {whole['port']}; ports are 1 to 65535")
        return
    if _is_ipv6(address) or _is_ipv6(address.rpartition(":")[0]):
        raise ValueError(f"{name} {text!r} is an IPv6 address without brackets: write HOST:PORT as [::1]:50051")
    if alone := _WITHOUT_PORT.fullmatch(address):
        raise ValueError(f"{name} {text!r} has no port: write HOST:PORT, as {alone['host']}:50051")
    if address.endswith("/") or "/" in address:
        raise ValueError(f"{name} {text!r} has a path: write HOST:PORT alone, as {address.partition('/')[0]}")
    raise ValueError(f"{name} {text!r} is not HOST:PORT, as 127.0.0.1:50051")


def refuse_plain_text_abroad(target: str, credentials: grpc.ChannelCredentials | None) -> None:
    """Raise ValueError if names and rights would cross a network unencrypted."""
    if credentials is None and not stays_here(target):
        raise ValueError(
            f"{target} is not on this machine, so it needs TLS: set POLICY_SERVER_CA_FILE, POLICY_CALLER_CERT_FILE and "
            "POLICY_CALLER_KEY_FILE, or give credentials=Identity(...), with this service's certificate and key"
        )


def stays_here(target: str) -> bool:
    """Is the target on this machine, so that no network sees what is said?"""
    scheme, rest = _split(target)
    if scheme in ("unix", "unix-abstract"):
        return True
    if scheme is not None and scheme not in _SCHEMES:
        return False
    return all(map(_is_loopback, rest.split(",") if scheme in ("ipv4", "ipv6") else [rest]))


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _is_loopback(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
