"""Keeps a snapshot in memory, and keeps it at the store's revision.

In comes the store's change log; out comes ``Replica``, which holds the snapshot
that answers now or says that it must not answer. What it answers is at one
committed revision, never a mixture, and never older than it may be. Read
``replica`` first, then ``follower``.
"""

from policy_service.replicate.follower import Follower
from policy_service.replicate.replica import Replica

__all__ = [
    "Follower",
    "Replica",
]
