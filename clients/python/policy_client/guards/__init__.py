"""Guards that ask before code runs: functions here, methods of gRPC servicers in ``servicers``, routes in ``fastapi``.

What is guarded runs only for a yes. A no and no answer are told apart, and neither is ever a yes.
"""

from policy_client.guards.functions import requires

__all__ = ["requires"]
