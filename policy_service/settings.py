"""What can be set, by environment variables ``POLICY_*``; a misspelt one is an error."""

import ipaddress
import os
from email.errors import ObsoleteHeaderDefect
from email.policy import SMTP
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal

from policy_client.environment import CALLERS_OWN
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from policy_service.errors import StartError
from policy_service.vocabulary import DecisionLogFull, DecisionLogMode

PREFIX = "POLICY_"
_MOST_SECRET_BYTES: Final = 4_096
_MAY_BE_EMPTY = (
    "POLICY_METRICS_ADDRESS",
    "POLICY_CHECKPOINT_FILE",
    "POLICY_TLS_CALLER_URI",
    "POLICY_DECISION_TOKEN_ADDRESS",
    "POLICY_MANAGEMENT_TOKEN_ADDRESS",
)


def policies_dir() -> Path:
    """The policies shipped with the service: inside the wheel, or beside the code in a checkout."""
    shipped = Path(str(files("policy_service"))) / "policies"
    return shipped if shipped.is_dir() else Path(str(files("policy_service"))).parent / "policies"


class Settings(BaseSettings):
    """Each field is the environment variable ``POLICY_`` + its name in capitals."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, hide_input_in_errors=True)

    database_url: SecretStr | None = Field(None, description="PostgreSQL's address; unset: an embedded server")
    database_url_file: Path | None = Field(None, description="A file that holds DATABASE_URL, on one line")
    data_dir: Path = Field(Path(".data"), description="Where the embedded server keeps its data")
    decision_address: str = Field("127.0.0.1:50051", description="Where checks are answered")
    management_address: str = Field("127.0.0.1:50052", description="Where users and physicians are managed")
    decision_token_address: str = Field(
        "", description="Where checks are answered to callers with tokens, by TLS; empty: on loopback without TLS only"
    )
    management_token_address: str = Field(
        "", description="Where callers with tokens manage, by TLS; empty: on loopback without TLS only"
    )
    metrics_address: str = Field("127.0.0.1:9464", description="Where Prometheus reads; empty: nowhere")
    metrics_beyond_loopback: bool = Field(
        default=False, description="Let metrics be read from other machines, in plain text"
    )
    model_file: Path = Field(default_factory=lambda: policies_dir() / "model.conf", description="Casbin's model")
    seed_file: Path = Field(default_factory=lambda: policies_dir() / "seed.csv", description="The built-in policy")
    max_staleness_seconds: float = Field(
        300.0, gt=0, allow_inf_nan=False, description="How long checks go on from memory while the database is away"
    )
    write_seconds: float = Field(
        5.0, ge=0.5, le=60, allow_inf_nan=False, description="Most that a write may take, its wait for others included"
    )
    drain_seconds: float = Field(
        1.0, ge=0, le=60, description="How long a stop goes on answering while health says NOT_SERVING"
    )
    decision_threads: int = Field(64, ge=1, le=256, description="Most checks worked on at once; more wait")
    list_threads: int = Field(
        16, ge=1, le=256, description="Most explanations and lists in hand, half the threads at most; more are refused"
    )
    list_part: float = Field(
        0.5, gt=0, le=1, description="Part of a core that one caller's explanations and lists may take; more wait"
    )
    max_roles_per_account: int = Field(100, ge=1, le=1_000, description="Most roles that an account may name")
    max_rules_per_account: int = Field(10_000, ge=1, le=100_000, description="Most rules of all its roles and people")
    max_members_per_account: int = Field(2_000, ge=1, le=10_000, description="Most people who work on one account")
    max_concurrent_calls: int = Field(1_000, ge=1, description="Most calls in hand; more get RESOURCE_EXHAUSTED")
    max_calls_per_caller: int = Field(
        500, ge=1, description="Most calls in hand of one caller, where TLS tells callers apart"
    )
    max_connections: int = Field(5_000, ge=1, description="Most connections to each listener, if files allow as many")
    max_questions_per_second: float = Field(
        0.0, ge=0, description="Most questions a second from one caller; 0: no limit"
    )
    refusals_per_second: float = Field(
        200.0, gt=0, le=10_000, description="Refusals a second that a caller gets at once; more wait, a second at most"
    )
    max_warm_physicians: int = Field(200, ge=1, description="Casbin enforcers kept, about 30 KB each")
    reflection: bool = Field(default=True, description="Let grpcurl and the like read the contract")
    tls_cert_file: Path | None = Field(None, description="The server's certificate chain, PEM")
    tls_key_file: Path | None = Field(None, description="Its key, PEM")
    tls_client_ca_file: Path | None = Field(None, description="Who signs the callers' certificates, PEM")
    tls_caller_uri: str = Field(
        "",
        pattern="^$|^[a-z][a-z0-9+.-]*://[!-~]*/$",
        description="How a caller's URI begins, as spiffe://clinic.example/service/; the rest is its name",
    )
    smtp_url: SecretStr | None = Field(
        None,
        description="Mail server, smtp://host:port or smtps://user:password@host:port; unset: files in DATA_DIR/mail",
    )
    smtp_url_file: Path | None = Field(None, description="A file that holds SMTP_URL, on one line")
    smtp_ca_file: Path | None = Field(
        None, description="Who signs the mail server's certificate, PEM; unset: whom this machine trusts"
    )
    mail_from: str = Field("Billing <no-reply@billing.invalid>", description="Sender of invitations")
    link_base: str = Field(
        "http://127.0.0.1:8080/accept-invitation",
        pattern="^https?://[^#\\s]+$",
        # It stands whole on one line of the e-mail, and a line there has 998 bytes at most.
        max_length=700,
        description="Page that accepts invitations",
    )
    invitation_days: float = Field(7.0, gt=0, le=90, description="How long an invitation's link works")
    letters_per_invitation: int = Field(
        5, ge=0, description="Most e-mails of one invitation within LETTERS_HOURS; 0: no limit"
    )
    letters_per_address: int = Field(10, ge=0, description="Most e-mails to one address within LETTERS_HOURS")
    letters_per_account: int = Field(200, ge=0, description="Most e-mails for one account within LETTERS_HOURS")
    letters_hours: float = Field(24.0, gt=0, le=720, description="The time in which e-mails are counted, in hours")
    max_prompts_per_hour: int = Field(
        60, ge=1, description="How often an account may be told in an hour that somebody whom it invites exists"
    )
    token_key_file: Path | None = Field(
        None, description="32 random bytes that links are made with, the same for all replicas; unset: made in DATA_DIR"
    )
    seed_most_removed: float = Field(
        0.25, ge=0, le=1, description="Share of the built-in rows that one plan may remove unless told otherwise"
    )
    decision_log: DecisionLogMode = Field(DecisionLogMode.ALL, description="Decisions recorded: all, denials, off")
    decision_log_days: int = Field(400, ge=31, description="How long they are kept, in days")
    decision_log_spool_mb: int = Field(
        256,
        ge=8,
        le=65_536,
        description="Most of the disk, in MB, that they take in DATA_DIR while the database is away",
    )
    decision_log_full: DecisionLogFull = Field(
        DecisionLogFull.REFUSE,
        description="Without room to record more: refuse to answer, or answer and count what is not recorded",
    )
    checkpoint_file: str = Field(
        "", description="Where signed checkpoints of the change log go, - for standard output; empty: DATA_DIR"
    )
    checkpoint_seconds: float = Field(3_600.0, ge=1, description="How often one is written, if the log has grown")
    checkpoint_key_file: Path | None = Field(
        None, description="Ed25519 key that signs them, PEM; unset: made in DATA_DIR"
    )
    zone: str = Field("UTC", description="Zone of dates and times that the audit commands are given without one")
    log_calls: Literal["all", "failed", "none"] = Field(
        "failed", description="Calls of which there is a line in the log: all, failed, none; slow ones have theirs"
    )
    slow_call_seconds: float = Field(
        1.0, ge=0, allow_inf_nan=False, description="From when on a call is slow and told in the log; 0: never"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="debug, info, warning, error")

    @model_validator(mode="before")
    @classmethod
    def _from_files(cls, given: dict[str, Any]) -> dict[str, Any]:
        """What stands in a file is the setting from here on: nobody else knows of the file."""
        read = dict(given)
        for name in ("database_url", "smtp_url"):
            if file := given.get(f"{name}_file"):
                setting = f"{PREFIX}{name.upper()}"
                if given.get(name) is not None:
                    raise ValueError(f"{setting} and {setting}_FILE are both set: unset one")
                read[name] = _secret(f"{setting}_FILE", Path(file))
        return read

    @field_validator(
        "decision_address",
        "management_address",
        "decision_token_address",
        "management_token_address",
        "metrics_address",
    )
    @classmethod
    def _address(cls, text: str, info: Any) -> str:
        if not text and f"{PREFIX}{info.field_name.upper()}" in _MAY_BE_EMPTY:
            return text
        host, _, port = text.rpartition(":")
        if not host or not port.isdigit() or int(port) > 65_535:
            raise ValueError("must be HOST:PORT, as 127.0.0.1:50051")
        return text

    @field_validator("mail_from")
    @classmethod
    def _one_address(cls, text: str) -> str:
        header = SMTP.header_factory("From", text)
        # A dot outside quotes, as in "Dr. X <…>", is read alike by all.
        broken = any(not isinstance(defect, ObsoleteHeaderDefect) for defect in header.defects)
        if not text.isascii() or not text.isprintable() or broken or len(header.addresses) != 1:
            raise ValueError("must be one address in plain ASCII, as Billing <no-reply@billing.example>")
        return text

    @model_validator(mode="after")
    def _transport_security(self) -> "Settings":
        tls = (self.tls_cert_file, self.tls_key_file, self.tls_client_ca_file)
        if self.has_token_address and not all(tls[:2]):
            raise ValueError(
                "tokens need TLS: with POLICY_DECISION_TOKEN_ADDRESS or POLICY_MANAGEMENT_TOKEN_ADDRESS set "
                "POLICY_TLS_CERT_FILE and POLICY_TLS_KEY_FILE too"
            )
        if any(tls) and not all(tls) and not (self.has_token_address and self.tls_client_ca_file is None):
            raise ValueError("set POLICY_TLS_CERT_FILE, POLICY_TLS_KEY_FILE and POLICY_TLS_CLIENT_CA_FILE, or none")
        for name in ("decision_address", "management_address"):
            if not is_loopback(getattr(self, name)) and not all(tls):
                raise ValueError(
                    f"POLICY_{name.upper()} is not a loopback address, so it needs transport security: set "
                    "POLICY_TLS_CERT_FILE, POLICY_TLS_KEY_FILE and POLICY_TLS_CLIENT_CA_FILE"
                )
        if self.metrics_address and not is_loopback(self.metrics_address) and not self.metrics_beyond_loopback:
            raise ValueError(
                "POLICY_METRICS_ADDRESS is not a loopback address, and metrics are read in plain text by whoever asks: "
                "set POLICY_METRICS_BEYOND_LOOPBACK=true if that is meant"
            )
        return self

    @property
    def has_tls(self) -> bool:
        """Do the main listeners use TLS with client certificates?"""
        return self.tls_client_ca_file is not None

    @property
    def has_token_address(self) -> bool:
        """Are there listeners for callers with tokens, by TLS?"""
        return bool(self.decision_token_address or self.management_token_address)


def _secret(name: str, path: Path) -> str:
    """The one line of a file. Raises ValueError that names the setting and the file, and tells nothing of the line."""
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_SECRET_BYTES + 1)
    except OSError as fault:
        raise ValueError(f"{name} {path} cannot be read: {fault.strerror}") from None
    if len(content) > _MOST_SECRET_BYTES:
        raise ValueError(f"{name} {path} holds more than {_MOST_SECRET_BYTES} bytes, and no address is as long")
    text = content.decode("ascii", errors="replace").strip()
    if not text:
        raise ValueError(f"{name} {path} is empty")
    if len(text.splitlines()) > 1:
        raise ValueError(f"{name} {path} holds more than one line")
    if not (text.isascii() and text.isprintable()):
        raise ValueError(f"{name} {path} holds what is not plain text; write other signs percent-encoded")
    return text


def _plain(words: str) -> str:
    return words.removeprefix("Value error, ")


def is_loopback(address: str) -> bool:
    """Does HOST:PORT stay on this machine?"""
    host = address.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def refuse_unknown() -> None:
    """Raise StartError that names every ``POLICY_*`` that neither the service nor its callers know."""
    known = {*_names(), *CALLERS_OWN}
    if unknown := sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known):
        raise StartError(f"Unknown setting {', '.join(unknown)}. Known: {', '.join(sorted(known))}")


def _names() -> set[str]:
    return {PREFIX + name.upper() for name in Settings.model_fields}


def read_settings() -> Settings:
    """Read the environment; raises StartError that names each variable at fault and never a value.

    What only callers read (``policy_client.environment``) may stand beside, so that one environment serves both.
    """
    refuse_unknown()
    known = _names()
    if empty := sorted(
        name for name in known & os.environ.keys() if not os.environ[name] and name not in _MAY_BE_EMPTY
    ):
        raise StartError(f"{', '.join(empty)}: empty; unset it for the default")
    try:
        return Settings()
    except ValidationError as fault:
        words = [
            f"{PREFIX}{str(error['loc'][0]).upper()}: {_plain(error['msg'])}" if error["loc"] else _plain(error["msg"])
            for error in fault.errors(include_url=False, include_input=False, include_context=False)
        ]
        raise StartError("\n".join(words)) from None
