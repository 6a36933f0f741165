"""What read the rows at a revision, and what held in every account: the model and the built-in rules of then."""

from policy_service.decide import Model, vetted_model
from policy_service.store import Reading, rules
from policy_service.vocabulary import ANY, Row


async def model_at(look: Reading, revision: int, today: Model) -> Model:
    """The model that was recorded last at a revision; ``today``'s where none was recorded yet.

    It decides as it did, be it as this release would let no model decide. Raises
    BrokenPolicy for one that is no model, or code.
    """
    text = await look.model_at(revision)
    return (
        today if text in (None, today.text) else vetted_model(text, f"the model of revision {revision}", as_it_was=True)
    )


async def built_in_at(look: Reading, revision: int) -> list[Row]:
    """The rules of all accounts, and what actions there were."""
    return await with_actions(look, [row for row, _ in await rules.at(look.connection, revision, ANY)])


async def with_actions(look: Reading, found: list[Row]) -> list[Row]:
    """The rows with the actions of a time when those were the release's own: the ones that were told first."""
    if any(row.ptype == "a" for row in found):
        return found
    return [*found, *await rules.first_actions(look.connection)]
