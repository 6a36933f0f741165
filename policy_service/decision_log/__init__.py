"""decision_log."""
