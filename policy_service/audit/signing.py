"""Who signs for this service: the key that its settings name, or the one in its data folder."""

from pathlib import Path

from policy_service.chain import Signer, read_signer
from policy_service.errors import StartError
from policy_service.settings import Settings


def checkpoint_key(settings: Settings) -> Path:
    """The file of the key that signs checkpoints, be it there or not."""
    return settings.checkpoint_key_file or settings.data_dir / "checkpoint.key"


def own_signer(settings: Settings) -> Signer:
    """Sign with that key, which is made where there is none. Raises StartError."""
    return read_signer(checkpoint_key(settings))


def sign_statement(settings: Settings, content: bytes) -> tuple[str, str]:
    """By the key that signed checkpoints until now: one that is made now is one that nobody knows.

    Raises StartError where there is none.
    """
    if not checkpoint_key(settings).exists():
        raise StartError(
            "What an earlier release's log was is to be stated in it, signed. Give the key that signs checkpoints: "
            f"POLICY_CHECKPOINT_KEY_FILE; there is no {checkpoint_key(settings)}."
        )
    return own_signer(settings).sign_bytes(content)
