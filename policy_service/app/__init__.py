"""The composition root: opens, wires and closes everything."""

from policy_service.app.database import open_store, read_policy
from policy_service.app.running import App, open_app, open_seeds

__all__ = ["App", "open_app", "open_seeds", "open_store", "read_policy"]
