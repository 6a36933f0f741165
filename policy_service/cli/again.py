"""Hints that are commands: what is printed can be run as it stands, in the same shell."""

import shlex
from typing import Final

import typer

_CARRIED: Final = ("actor", "address", "timeout", "tls_ca", "tls_cert", "tls_key", "token_file", "context_name")
"""For whom, and how the service is reached: as it was said to the command that prints the hint."""


def command_again(context: typer.Context, *words: str) -> str:
    """A command of ours, with what was said on the command line about who acts and where the service is.

    What came from the environment is there for the next command too.
    """
    options = {str(parameter.name): parameter.opts[-1] for parameter in context.command.params}
    carried: list[str] = []
    for name in _CARRIED:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            carried += (options[name], str(context.params[name]))
    root = context.find_root()
    before = root.get_parameter_source("context_name")
    if before is not None and before.name == "COMMANDLINE" and "--context" not in carried:
        carried += ("--context", str(root.params["context_name"]))
    return shlex.join(["policy-service", *words, *carried])
