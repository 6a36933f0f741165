"""Ports for processes that must be told theirs before they start.

A port that the system gave and took back may be anybody's a moment later: each connection
that goes out takes one of the same range. These lie below that range and are kept until this
process ends, so that no two tests have the same, in however many processes they run.
"""

import socket
from pathlib import Path

_LOWEST = 20_000
_kept: list[socket.socket] = []


def free_port() -> int:
    """A TCP port on loopback that nobody listens on and that is given to nobody else."""
    for port in range(_LOWEST, _first_given_by_the_system()):
        # The UDP port of the same number is the mark that other test processes see.
        mark = socket.socket(type=socket.SOCK_DGRAM)
        try:
            mark.bind(("127.0.0.1", port))
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            mark.close()
            continue
        _kept.append(mark)
        return port
    raise RuntimeError(f"every port from {_LOWEST} on is taken")


def _first_given_by_the_system() -> int:
    """Where Linux begins with outgoing connections; elsewhere what IANA says (RFC 6335, section 6)."""
    setting = Path("/proc/sys/net/ipv4/ip_local_port_range")
    return int(setting.read_text().split()[0]) if setting.exists() else 49_152
