"""The ``policy-service`` command."""

import os

# Before grpc is first imported. Its fork handlers are for programs that fork without exec, its own log lines
# would stand between ours: what matters of them comes back as errors.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from policy_service.cli.main import main

__all__ = ["main"]
