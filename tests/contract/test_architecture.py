"""docs/architecture.md is what the code makes: its picture, and what three calls pass through.

``make architecture`` writes the page anew.
"""

import os
import re
from datetime import UTC, datetime

import pytest

from policy_service.app import open_app
from policy_service.pb import audit_pb2
from policy_service.pb import manage_users_pb2 as mu
from policy_service.seed import install
from tests.conftest import SHIPPED_MODEL
from tests.support import architecture
from tests.support.architecture import House, Journey, recorded, watched
from tests.support.rpc import Wire

DECISION_HANDLER = "guard.Guard.wrap.handle"
MANAGEMENT_HANDLER = "guard.Guard.wrap_stream.handle"
CONTRIBUTING = architecture.ROOT / "CONTRIBUTING.md"


def holds(made: dict[str, str]) -> None:
    """The page has these parts; or gets them, where it is written anew."""
    page = architecture.PAGE.read_text()
    if os.environ.get("ARCHITECTURE") == "write":
        architecture.PAGE.write_text(architecture.rewritten(page, made))
        return
    written = architecture.parts(page)
    for name, text in made.items():
        assert written[name] == text, f"{name} in docs/architecture.md is not what the code makes: make architecture"


@pytest.fixture(scope="module")
def house() -> House:
    return architecture.house()


def test_the_picture_is_of_the_rooms_as_they_are(house):
    holds({"picture": architecture.drawn(house), "rooms": architecture.listed(house)})


def test_the_arrows_and_what_they_lead_to_are_the_imports(house):
    arrows = dict[str, set[str]]()
    for room, other in house.arrows():
        arrows.setdefault(room, set()).add(other)
    reached = dict[str, set[str]]()
    for room in reversed(house.from_the_top()):
        near = arrows.get(room, set())
        reached[room] = near.union(*(reached[other] for other in near))
    for room, others in house.imports.items():
        assert others <= reached[room], room
        # Nothing is drawn that is not imported.
        assert arrows.get(room, set()) <= others, room


def test_contributing_says_of_each_room_where_to_begin(house):
    rows = re.findall(r"^\| (`[a-z_]+[/.].*?) \|.*\| (.*?) \|$", CONTRIBUTING.read_text(), re.MULTILINE)
    told = {name: first for names, first in rows for name in re.findall(r"`([a-z_]+)(?:/|\.py)`", names)}
    assert set(told) == set(house.words) - {"pb"}
    for room, first in told.items():
        for module in re.findall(r"`(\w+)`", first):
            place = architecture.FOLDER / room / module
            assert place.is_dir() or place.with_suffix(".py").is_file(), f"{room}/{module}"


@pytest.fixture
async def journeys(store, settings, seed) -> dict[str, Journey]:
    """Each of the three calls, made by a real client of a real service that is warm."""
    await install.install_first(store, seed, SHIPPED_MODEL)
    found, names = {}, iter(["nina", "omar"])
    with watched():
        async with (
            open_app(settings, with_demo=True) as app,
            Wire(app.planes.decision_port) as decisions,
            Wire(app.planes.management_port) as management,
        ):

            async def check():
                assert (await decisions.check("mia", "dr-osei", "claim:submit")).allowed

            async def invite():
                name = next(names)
                request = mu.InviteUserRequest(
                    actor="ama",
                    physician="dr-osei",
                    email=f"{name}@clinic.example",
                    username=name,
                    permissions=mu.Permissions(roles=["data_entry"]),
                )
                assert (await management("InviteUser", request)).invitation.username == name

            async def who_could():
                then = audit_pb2.Point(at=datetime.now(UTC))
                request = audit_pb2.ReviewAccessRequest(physician="dr-osei", as_of=then)
                assert "mia" in {access.user for access in (await management("ReviewAccess", request)).access}

            for name, handler, call in (
                ("check", DECISION_HANDLER, check),
                ("invite_user", MANAGEMENT_HANDLER, invite),
                ("review_access", MANAGEMENT_HANDLER, who_could),
            ):
                # The first call of a kind makes what the next ones find.
                await call()
                with recorded(handler, name) as found[name]:
                    await call()
    return found


async def test_the_journeys_are_those_that_calls_take(journeys):
    check, invite, who_could = journeys["check"], journeys["invite_user"], journeys["review_access"]
    holds({"check": check.told_whole(), "invite": invite.told(), "who could": who_could.told()})

    # Three rooms answer a Check, whatever is executed there, and a fourth records it; that of words has nothing to do.
    answering = check.steps[: [step.room for step in check.steps].index("decision_log")]
    assert list(dict.fromkeys(step.room for step in answering)) == ["rpc", "replicate", "decide"]
    assert {step.room for step in check.steps[len(answering) :]} == {"decision_log", "rpc"}

    # The others go down: from the wire to their own room, and from there to the database.
    for journey, room in ((invite, "members"), (who_could, "audit")):
        assert {"rpc", room, "store"} <= set(journey.rooms)
        assert journey.rooms.index("rpc") < journey.rooms.index(room)
