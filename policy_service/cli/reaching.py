"""How a command reaches the service: its options, then POLICY_*, then a context of the callers' file, then defaults."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from policy_client import Identity
from policy_client.contexts import Context, read_config
from policy_client.environment import (
    CALLER_CERT_FILE,
    CALLER_KEY_FILE,
    CALLER_TIMEOUT_SECONDS,
    CALLER_TOKEN,
    CALLER_TOKEN_FILE,
    CONTEXT,
    MANAGEMENT_ADDRESS,
    SERVER_CA_FILE,
    given,
)
from policy_client.surroundings import Found, Surroundings
from policy_client.targets import read_target, stays_here

from policy_service.settings import refuse_unknown

Timeout = Annotated[
    float,
    typer.Option(
        min=0.001,
        envvar=CALLER_TIMEOUT_SECONDS,
        help="Seconds to wait for an answer; lists, plans and verifications take theirs.",
    ),
]
CaFile = Annotated[
    Path | None, typer.Option(envvar=SERVER_CA_FILE, help="With TLS: who signed the service's certificate, PEM.")
]
CertFile = Annotated[
    Path | None, typer.Option(envvar=CALLER_CERT_FILE, help="With TLS: this caller's certificate, PEM.")
]
KeyFile = Annotated[Path | None, typer.Option(envvar=CALLER_KEY_FILE, help="With TLS: its key, PEM.")]
TokenFile = Annotated[
    Path | None,
    typer.Option(envvar=CALLER_TOKEN_FILE, help=f"This caller's token, in a file; or in {CALLER_TOKEN} itself."),
]
ContextName = Annotated[
    str | None,
    typer.Option(
        "--context",
        metavar="NAME",
        envvar=CONTEXT,
        help="What is not said here or in the environment, by a context of the callers' file; none: no context.",
    ),
]

_FILES: Final = {
    "tls_ca": ("--tls-ca", SERVER_CA_FILE, CaFile),
    "tls_cert": ("--tls-cert", CALLER_CERT_FILE, CertFile),
    "tls_key": ("--tls-key", CALLER_KEY_FILE, KeyFile),
    "token_file": ("--token-file", CALLER_TOKEN_FILE, TokenFile),
}
_TIMEOUT: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """Where a service is, and as whom it is asked."""

    address: str
    timeout: float
    identity: Identity | None
    context: Context | None
    management: str | None
    """Where the other plane is, if the command did not say."""


def reach_options(address: str, variable: str) -> dict[str, tuple[Any, Any]]:
    """The options that say it, with their defaults and annotations."""
    where = Annotated[
        str, typer.Option(envvar=variable, help="Where the service is (HOST:PORT, or several with commas).")
    ]
    files = {name: (None, annotation) for name, (_, _, annotation) in _FILES.items()}
    return {
        "address": (address, where),
        "timeout": (_TIMEOUT, Timeout),
        **files,
        "context_name": (None, ContextName),
    }


def reach(given_here: Mapping[str, Any], variable: str, typed: typer.Context) -> Reached:
    """What the command's own options say, else what is around. Raises ValueError and StartError."""
    refuse_unknown()
    context = chosen_context(typed)
    named = {"address": ("--address", variable), **{name: words[:2] for name, words in _FILES.items()}}
    said = {
        of: Found(variable=of, text=str(given_here[name]), name=option)
        for name, (option, of) in named.items()
        if _is_typed(typed, name)
    }
    around = Surroundings(context, said, {of: option for option, of in named.values()})
    found = around.find(variable) or Found(variable=variable, text=given_here["address"], name="--address")
    address, identity = read_target(found.text, found.name), around.identity(found)
    if not stays_here(address) and not (identity and identity.speaks_tls):
        raise ValueError(
            f"{address} is not on this machine, so it needs TLS: give --tls-ca, --tls-cert and --tls-key, or set "
            f"{SERVER_CA_FILE}, {CALLER_CERT_FILE} and {CALLER_KEY_FILE}, or name a --context that has them"
        )
    timeout = float(given_here["timeout"])
    if not _is_typed(typed, "timeout") and (set_elsewhere := around.timeout()):
        timeout = set_elsewhere[0]
    other = None if _is_typed(typed, "management") else around.find(MANAGEMENT_ADDRESS)
    return Reached(
        address=address,
        timeout=timeout,
        identity=identity,
        context=context,
        management=None if other is None else other.text,
    )


def chosen_context(typed: typer.Context) -> Context | None:
    """As the command says, the word before it, POLICY_CONTEXT, or the file's current one. Raises ValueError."""
    name, by = None, "--context"
    if _is_typed(typed, "context_name"):
        name = typed.params.get("context_name")
    elif _is_typed(typed.find_root(), "context_name"):
        name = typed.find_root().params.get("context_name")
    elif said := given(CONTEXT):
        name, by = said, CONTEXT
    if name == "":
        raise ValueError(f"{by} is empty")
    config = read_config()
    if name is None:
        return None if config.current is None else config.named(config.current, f"{config.file}: current")
    return config.named(name, by)


def _is_typed(typed: Any, name: str) -> bool:
    source = typed.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
