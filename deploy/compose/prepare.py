"""Makes what the replicas share, once: keys, passwords of the database, certificates for a try-out.

Run with two folders: one for the service, one for the database's image. What is there
stays, so that a second start changes nothing.
"""

import os
import secrets
import subprocess
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

SERVICE = 10_001
"""The user of the service's image."""


def main(service: Path, database: Path) -> None:
    """Make all of it, unless it was made."""
    if (service / "made").exists():
        return
    for role in ("owner", "service"):
        password = database / f"{role}-password"
        if not password.exists():
            # Read by the database's own user, in a volume that nobody else mounts.
            put(password, secrets.token_urlsafe(24).encode(), mode=0o644)
        put(
            service / f"{role}.pgpass",
            f"database:5432:policy:policy_{role}:{password.read_text()}\n".encode(),
            mode=0o600,
        )
    if not (service / "token.key").exists():
        put(service / "token.key", secrets.token_bytes(32), mode=0o600)
    if not (service / "checkpoint.key").exists():
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        put(service / "checkpoint.pub", public, mode=0o644)
        put(service / "checkpoint.key", pem, mode=0o600)
    if not (service / "certificates").exists():
        hosts = ("localhost", "127.0.0.1", "policy-1", "policy-2")
        callers = ("billing", "manage-users-page", "ops", "auditor")
        words = [word for host in hosts for word in ("--host", host)]
        words += [word for caller in callers for word in ("--caller", caller)]
        folder = service / "certificates"
        subprocess.run(  # noqa: S603 - words of our own.
            [Path(sys.executable).with_name("policy-service"), "certificates", "demo", folder, "--days", "30", *words],
            check=True,
        )
    if os.geteuid() == 0:
        # What is in a folder before the folder: then it is closed to this process too.
        for path in sorted(service.rglob("*"), reverse=True):
            os.chown(path, SERVICE, SERVICE)
    put(service / "made", b"", mode=0o644)


def put(path: Path, content: bytes, *, mode: int) -> None:
    """Whole, under its name, or not at all."""
    beside = path.with_name(f".{path.name}")
    beside.unlink(missing_ok=True)
    beside.touch(mode=mode)
    beside.write_bytes(content)
    beside.chmod(mode)
    beside.replace(path)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
