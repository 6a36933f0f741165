"""Makes what a try-out keeps secret: passwords, keys and certificates. Writes over nothing, and prints no secret.

A folder for each who reads it: ``service``, ``owner``, ``database`` (its two passwords, which a user other than ours
has to read), ``mail`` and ``tls``. The certificates end after 30 days: remove the volume, or in production use your
own authority.
"""

import argparse
import secrets
import subprocess
import sys
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

DATABASE = "database:5432/policy"
MAIL = "mail"
CALLERS = ("billing", "ops", "manage-users-page", "callers-admin", "auditor")


def make(folder: Path, hosts: list[str], *, database: str = DATABASE) -> None:
    """Everything, or what a start that was stopped half way left out."""
    for name, mode in (("service", 0o700), ("owner", 0o700), ("database", 0o755)):
        (folder / name).mkdir(mode=mode, exist_ok=True)
    for role, whose in (("policy_owner", "owner"), ("policy_service", "service")):
        # Letters and digits alone, so that it stands in an address as it is.
        password = folder / "database" / f"{whose}-password"
        _write(password, secrets.token_hex(24).encode(), mode=0o444)
        _write(folder / whose / "database-url", f"postgresql://{role}:{password.read_text()}@{database}".encode())
    _write(folder / "service/token.key", secrets.token_bytes(32))
    _write(folder / "service/checkpoint.key", _signing_key())
    public = serialization.load_pem_private_key((folder / "service/checkpoint.key").read_bytes(), None).public_key()
    pem, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    _write(folder / "service/checkpoint.pub", public.public_bytes(pem, form))
    _certificates(folder / "tls", hosts, CALLERS)
    _certificates(folder / "mail", [MAIL], CALLERS[:1])


def _signing_key() -> bytes:
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return Ed25519PrivateKey.generate().private_bytes(pem, form, serialization.NoEncryption())


def _write(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    if path.exists():
        return
    # Whole under its name, or not there.
    beside = path.with_name(f".{path.name}")
    beside.unlink(missing_ok=True)
    beside.touch(mode=mode | 0o200)
    beside.write_bytes(content)
    beside.chmod(mode)
    beside.replace(path)


def _certificates(folder: Path, hosts: list[str], callers: tuple[str, ...]) -> None:
    if folder.exists():
        return
    command = [Path(sys.executable).with_name("policy-service"), "certificates", "demo", str(folder), "--days", "30"]
    command += [word for host in hosts for word in ("--host", host)]
    command += [word for caller in callers for word in ("--caller", caller)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603


if __name__ == "__main__":
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("folder", type=Path)
    reader.add_argument("--host", action="append", required=True, help="a name at which the service is asked")
    asked = reader.parse_args()
    make(asked.folder, asked.host)
