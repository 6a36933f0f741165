"""policy_text."""
