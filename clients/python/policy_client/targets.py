"""Reads the addresses of a service, HOST:PORT as a rule, and says of a wrong one what to write instead.

Several stand in a list, or in one text with commas. Each is resolved and, with TLS, known by a name of its own.
"""

import ipaddress
import re
from collections.abc import Iterable
from typing import Final

import grpc

_SCHEMES: Final = ("dns", "ipv4", "ipv6", "unix", "unix-abstract")
"""gRPC's ways to write an address that are taken as they are; what else ends in a colon is no address."""

MOST_ADDRESSES: Final = 32
"""Each has a connection of its own."""

_HOST: Final = r"\[[0-9A-Fa-f:.%a-z]+\]|[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_.])?"
_WITH_PORT: Final = re.compile(rf"(?P<host>{_HOST}):(?P<port>\d+)", re.ASCII)
_WITHOUT_PORT: Final = re.compile(rf"(?P<host>{_HOST}):?", re.ASCII)
_URL: Final = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>.*)", re.DOTALL)


def read_target(text: object, name: str) -> str:
    """The address, or several with commas between. Raises ValueError that begins with ``name``: how to write it."""
    return ",".join(read_addresses(text, name))


def read_addresses(given: object, name: str) -> tuple[str, ...]:
    """Each address once, in order, of a text or of a list of texts. Raises as ``read_target``."""
    if isinstance(given, str):
        # What is written ipv4:A,B is A and B like any other list: gRPC would know both by one name.
        found = given.split(",")
    elif isinstance(given, Iterable) and not isinstance(given, bytes):
        found = list(given)
        if not found:
            raise ValueError(f"{name} is an empty list: write HOST:PORT, as 127.0.0.1:50051")
    else:
        raise TypeError(f"{name} is {type(given).__name__}, not a string as 127.0.0.1:50051, nor a list of such")
    if len(found) > MOST_ADDRESSES:
        raise ValueError(f"{name} has {len(found)} addresses; it takes at most {MOST_ADDRESSES}")
    return tuple(dict.fromkeys(_read(text, name, given) for text in found))


def _read(text: object, name: str, given: object) -> str:
    if not isinstance(text, str):
        raise TypeError(f"{name} has {type(text).__name__} in it, not a string as 127.0.0.1:50051")
    if not text:
        of = f" in {given!r}" if given else ""
        raise ValueError(f"{name} is empty{of}: write HOST:PORT, as 127.0.0.1:50051")
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
    _refuse_fault(rest, text, name)
    if scheme in ("ipv4", "ipv6") and not _is_number(rest, scheme):
        raise ValueError(f"{name} {text!r} is no address of {scheme}: leave {scheme}: out, as {rest}")
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


def refuse_plain_text_abroad(addresses: Iterable[str], credentials: grpc.ChannelCredentials | None) -> None:
    """Raise ValueError if names and rights would cross a network unencrypted: to any one of the addresses."""
    if credentials is not None:
        return
    for address in addresses:
        if not _is_here(address):
            raise ValueError(
                f"{address} is not on this machine, so it needs TLS: set POLICY_SERVER_CA_FILE, POLICY_CALLER_CERT_FILE"
                " and POLICY_CALLER_KEY_FILE, or give credentials=credentials_from_files(...), with this service's "
                "certificate and key"
            )


def stays_here(target: str) -> bool:
    """Are all addresses of a text on this machine, so that no network sees what is said?"""
    return all(map(_is_here, target.split(",")))


def may_be_many(address: str) -> bool:
    """Can there be several servers behind one address, as behind a name, each of which says how it is?"""
    scheme, rest = _split(address)
    host = rest.rpartition(":")[0].strip("[]")
    return scheme in (None, "dns") and host.lower() != "localhost" and not _is_ip(host)


def _is_here(address: str) -> bool:
    scheme, rest = _split(address)
    if scheme in ("unix", "unix-abstract"):
        return True
    if scheme is not None and scheme not in _SCHEMES:
        return False
    return _is_loopback(rest)


def _is_number(address: str, scheme: str) -> bool:
    host = address.rpartition(":")[0].strip("[]").partition("%")[0]
    return _is_ip(host) and ipaddress.ip_address(host).version == int(scheme[-1])


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


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
