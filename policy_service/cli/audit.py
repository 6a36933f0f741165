"""The ``audit`` commands: what was changed and decided, who could do what, whose access changed."""

import typer

from policy_service.cli import audit_logs, audit_reviews, audit_verify, collisions

app = typer.Typer(help="For auditors: what was changed and decided, who could do what and when.", no_args_is_help=True)

audit_verify.add_to(app)
collisions.add_to(app)
audit_logs.add_to(app)
audit_reviews.add_to(app)
