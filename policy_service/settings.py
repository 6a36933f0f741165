"""What can be set, by environment variables ``POLICY_*``; a misspelt one is an error."""

import ipaddress
import os
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from policy_service.errors import StartError
from policy_service.vocabulary import DecisionLogMode

PREFIX = "POLICY_"
_MAY_BE_EMPTY = ("POLICY_METRICS_ADDRESS", "POLICY_CHECKPOINT_FILE")


def policies_dir() -> Path:
    """The policies shipped with the service: inside the wheel, or beside the code in a checkout."""
    shipped = Path(str(files("policy_service"))) / "policies"
    return shipped if shipped.is_dir() else Path(str(files("policy_service"))).parent / "policies"


class Settings(BaseSettings):
    """Each field is the environment variable ``POLICY_`` + its name in capitals."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, hide_input_in_errors=True)

    database_url: SecretStr | None = Field(None, description="PostgreSQL's address; unset: an embedded server")
    data_dir: Path = Field(Path(".data"), description="Where the embedded server keeps its data")
    decision_address: str = Field("127.0.0.1:50051", description="Where checks are answered")
    management_address: str = Field("127.0.0.1:50052", description="Where users and physicians are managed")
    metrics_address: str = Field("127.0.0.1:9464", description="Where Prometheus reads; empty: nowhere")
    model_file: Path = Field(default_factory=lambda: policies_dir() / "model.conf", description="Casbin's model")
    seed_file: Path = Field(default_factory=lambda: policies_dir() / "seed.csv", description="The built-in policy")
    max_staleness_seconds: float = Field(
        300.0, gt=0, allow_inf_nan=False, description="How long checks go on from memory while the database is away"
    )
    decision_threads: int = Field(64, ge=1, le=256, description="Most checks worked on at once; more wait")
    max_concurrent_calls: int = Field(1_000, ge=1, description="Most calls in hand; more get RESOURCE_EXHAUSTED")
    max_questions_per_second: float = Field(
        0.0, ge=0, description="Most questions a second from one caller; 0: no limit"
    )
    max_warm_physicians: int = Field(200, ge=1, description="Casbin enforcers kept, about 30 KB each")
    reflection: bool = Field(default=True, description="Let grpcurl and the like read the contract")
    tls_cert_file: Path | None = Field(None, description="The server's certificate chain, PEM")
    tls_key_file: Path | None = Field(None, description="Its key, PEM")
    tls_client_ca_file: Path | None = Field(None, description="Who signs the callers' certificates, PEM")
    smtp_url: SecretStr | None = Field(
        None,
        description="Mail server, smtp://host:port or smtps://user:password@host:port; unset: files in DATA_DIR/mail",
    )
    mail_from: str = Field("Billing <no-reply@billing.invalid>", description="Sender of invitations")
    link_base: str = Field(
        "http://127.0.0.1:8080/accept-invitation",
        pattern="^https?://[^#\\s]+$",
        description="Page that accepts invitations",
    )
    invitation_days: float = Field(7.0, gt=0, le=90, description="How long an invitation's link works")
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
    checkpoint_file: str = Field(
        "", description="Where signed checkpoints of the change log go, - for standard output; empty: DATA_DIR"
    )
    checkpoint_seconds: float = Field(3_600.0, ge=1, description="How often one is written, if the log has grown")
    checkpoint_key_file: Path | None = Field(
        None, description="Ed25519 key that signs them, PEM; unset: made in DATA_DIR"
    )
    zone: str = Field("UTC", description="Zone of dates and times that the audit commands are given without one")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="debug, info, warning, error")

    @field_validator("decision_address", "management_address", "metrics_address")
    @classmethod
    def _address(cls, text: str, info: Any) -> str:
        if info.field_name == "metrics_address" and not text:
            return text
        host, _, port = text.rpartition(":")
        if not host or not port.isdigit() or int(port) > 65_535:
            raise ValueError("must be HOST:PORT, as 127.0.0.1:50051")
        return text

    @model_validator(mode="after")
    def _transport_security(self) -> "Settings":
        tls = (self.tls_cert_file, self.tls_key_file, self.tls_client_ca_file)
        if any(tls) and not all(tls):
            raise ValueError("set POLICY_TLS_CERT_FILE, POLICY_TLS_KEY_FILE and POLICY_TLS_CLIENT_CA_FILE, or none")
        for name in ("decision_address", "management_address"):
            if not is_loopback(getattr(self, name)) and not all(tls):
                raise ValueError(
                    f"POLICY_{name.upper()} is not a loopback address, so it needs transport security: set "
                    "POLICY_TLS_CERT_FILE, POLICY_TLS_KEY_FILE and POLICY_TLS_CLIENT_CA_FILE"
                )
        return self

    @property
    def has_tls(self) -> bool:
        """Do the listeners use TLS with client certificates?"""
        return self.tls_cert_file is not None


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


def read_settings() -> Settings:
    """Read the environment; raises StartError that names each variable at fault and never a value."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    if unknown := sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known):
        raise StartError(f"Unknown setting {', '.join(unknown)}. Known: {', '.join(sorted(known))}")
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
