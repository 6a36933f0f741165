"""The ``policy-service`` command.

In come words of a command line; out come answers for people, JSON or CSV, and an
exit status: 0 for yes, 1 for no, 2 for no answer. What asks a running service goes
through the same client as everybody. Read ``main`` first, then ``calling``.
"""

import os

# Before grpc is first imported. Its fork handlers are for programs that fork without exec, its own log lines
# would stand between ours: what matters of them comes back as errors.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from policy_service.cli.main import main

__all__ = ["main"]
