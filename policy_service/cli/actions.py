"""``actions``: what actions there are, for people and for code."""

from collections import Counter
from typing import Annotated

import typer
from policy_client import ActionInfo, Actions, PolicyClient
from rich.markup import escape

from policy_service.cli.calling import AsJson, asking, plain
from policy_service.cli.output import out, print_json, print_table

_app = typer.Typer(help="What actions there are: the catalogue that ops keep in the seed.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    _app.command("list")(list_actions)
    _app.command("python")(constants)
    app.add_typer(_app, name="actions")


@asking
def list_actions(
    client: PolicyClient,
    *,
    sentences: Annotated[bool, typer.Option("--sentences", help="With what one does with each.")] = False,
    as_json: AsJson = False,
) -> None:
    """Every action that there is, in the order of lists."""
    found = client.actions()
    if as_json:
        print_json(plain(found))
        return
    columns = ["group", "action", "title", "notes", *(["sentence"] if sentences else [])]
    rows = [
        (
            escape(info.group),
            info.action,
            escape(info.title),
            escape(_notes(info)),
            *([escape(info.sentence)] if sentences else []),
        )
        for info in found
    ]
    print_table(columns, rows, caption=f"{len(rows)} actions; revision {found.revision}")


def _notes(info: ActionInfo) -> str:
    marks = {
        "the owner's alone": info.owner_only,
        "not in the mobile app": info.not_mobile,
        f"needs {', '.join(info.needs)}": info.needs,
        f"deprecated, use {info.replaced_by}" if info.replaced_by else "deprecated": info.deprecated,
    }
    return "; ".join(words for words, is_so in marks.items() if is_so)


@asking
def constants(client: PolicyClient) -> None:
    """Python constants for every action, to be kept in a file of the caller's: ids stay plain strings."""
    out.print(_module(client.actions()), end="", markup=False, highlight=False, soft_wrap=True)


def _module(found: Actions) -> str:
    """A module of constants."""
    lines = [
        f'"""The actions of the policy service, at its revision {found.revision}."""',
        "",
        "from typing import Final",
        "",
    ]
    names = Counter(info.action.replace(":", "_") for info in found)
    for info in found:
        # Of two that would have one name, each shows where its colon is.
        between = "_" if names[info.action.replace(":", "_")] == 1 else "__"
        lines += [f'{info.action.replace(":", between).upper()}: Final = "{info.action}"']
        lines += [f'"""{_quoted(info.title)}: {_quoted(info.sentence)}"""']
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """Within a docstring."""
    return text.replace("\\", "\\\\").replace('"', '\\"')
