"""The actions of the shipped seed, with names for tests: ``Action.CLAIM_VIEW`` is ``claim:view``."""

from enum import StrEnum

from policy_service.policy_text import read_seed
from policy_service.settings import policies_dir
from policy_service.vocabulary import info_of

ACTION_ROWS = tuple(row for row in read_seed(policies_dir() / "seed.csv") if row.ptype == "a")
_INFOS = sorted((info_of(row.values) for row in ACTION_ROWS), key=lambda info: info.place)


class _Named(StrEnum):
    # Enum hashes by name; these are looked up among plain texts.
    __hash__ = str.__hash__


Action = _Named("Action", {info.action.replace(":", "_").upper(): info.action for info in _INFOS})
ACTIONS = {str(action): action for action in Action}
OWNER_ONLY = frozenset(Action(info.action) for info in _INFOS if info.owner_only)
