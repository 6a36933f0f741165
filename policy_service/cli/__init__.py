"""The ``policy-service`` command."""

from policy_service.cli.main import main

__all__ = ["main"]
