"""What actions there are, for people and as a module of constants."""

import pytest
from policy_client import ActionInfo, Actions, Revision

from policy_service.cli.actions import _module


def told(action: str, title: str = "Title", sentence: str = "A sentence.") -> ActionInfo:
    return ActionInfo(
        action=action,
        title=title,
        sentence=sentence,
        group="more",
        owner_only=False,
        not_mobile=False,
        deprecated=False,
        replaced_by=None,
        needs=(),
        headline=False,
    )


@pytest.mark.parametrize(
    ("actions", "constants"),
    [
        ([told("claim:view"), told("claim:save")], {"CLAIM_VIEW": "claim:view", "CLAIM_SAVE": "claim:save"}),
        ([told("a_b:c"), told("a:b_c")], {"A_B__C": "a_b:c", "A__B_C": "a:b_c"}),
        ([told("claim:view", 'Say "no" \\', 'With """quotes""" \\')], {"CLAIM_VIEW": "claim:view"}),
    ],
    ids=["usual", "one name for two", "quotes"],
)
def test_constants_are_a_module_whatever_titles_say(actions, constants):
    names: dict[str, object] = {}
    exec(_module(Actions(actions=tuple(actions), revision=Revision.of("7"))), names)  # noqa: S102 - what it makes is one.
    found = {name: value for name, value in names.items() if name.isupper()}
    assert found == constants
