"""The ``seed`` commands: from an edited CSV to a safe change."""

import typer

from policy_service.cli import expectations, seed_changes, seed_lint, seed_moving

app = typer.Typer(help="The built-in policy: check, preview, apply, roll back.", no_args_is_help=True)
expectations.add_to(app)
seed_lint.add_to(app)
seed_changes.add_to(app)
seed_moving.add_to(app)
