"""``python -m policy_service`` is the ``policy-service`` command."""

from policy_service.cli import main

main()
