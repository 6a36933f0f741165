"""Transport security from files: who signed the service's certificate, and this caller's certificate and key."""

import ssl
from pathlib import Path

import grpc


def credentials_from_files(
    ca_file: str | Path | None = None,
    cert_file: str | Path | None = None,
    key_file: str | Path | None = None,
    *,
    names: tuple[str, str, str] = ("ca_file", "cert_file", "key_file"),
) -> grpc.ChannelCredentials:
    """Credentials from PEM files. Without ``ca_file`` the well-known authorities are trusted.

    Raises ValueError, naming the file, for one that cannot be read, is not
    what it should be, or does not fit the others; ``names`` is what errors
    call them.
    """
    made = credentials_or_none(names, (ca_file, cert_file, key_file))
    if made is None:
        raise ValueError("give ca_file, cert_file and key_file: what the service's certificate and yours are in")
    return made


def credentials_or_none(names: tuple[str, ...], files: tuple[str | Path | None, ...]) -> grpc.ChannelCredentials | None:
    """The same; None where no file is given, which is plain text. Raises ValueError."""
    if not any(files):
        return None
    ca_file, cert_file, key_file = files
    if bool(cert_file) != bool(key_file):
        there, missing = (names[1], names[2]) if cert_file else (names[2], names[1])
        raise ValueError(f"{there} is given without {missing}: a certificate is of use with its key only")
    ca, certificate, key = (_read(name, Path(file)) if file else None for name, file in zip(names, files, strict=True))
    _refuse_misfits(names, ca_file, cert_file, key_file)
    return grpc.ssl_channel_credentials(ca, key, certificate)


def _read(name: str, file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as fault:
        raise ValueError(f"{name} {file} cannot be read: {fault.strerror}") from fault


def _refuse_misfits(
    names: tuple[str, ...], ca_file: str | Path | None, cert_file: str | Path | None, key_file: str | Path | None
) -> None:
    """GRPC would say of these only, at each call, that no connection can be made."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca_file:
        try:
            context.load_verify_locations(ca_file)
        except ssl.SSLError as fault:
            raise ValueError(f"{names[0]} {ca_file} holds no certificate in PEM") from fault
    if cert_file and key_file:
        try:
            # The empty password: a key that asks for one is an error, not a question at the terminal.
            context.load_cert_chain(cert_file, key_file, password="")
        except ssl.SSLError as fault:
            words = (
                "do not belong together"
                if fault.reason == "KEY_VALUES_MISMATCH"
                else "are not a certificate and its key in PEM, without a password"
            )
            raise ValueError(f"{names[1]} {cert_file} and {names[2]} {key_file} {words}") from fault
