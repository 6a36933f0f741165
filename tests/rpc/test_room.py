"""Room for calls: its bounds hold, silence is what ends a call, and a flood costs the flooder."""

import pytest

from policy_service.rpc.errors import TooManyCalls
from policy_service.rpc.room import Room


class World:
    """A room whose time is ours, and the names of the calls that it ended."""

    def __init__(self, *, most: int = 4, most_of_one: int = 4, patience: float = 5.0) -> None:
        self.now = 0.0
        self.ended: list[str] = []
        self.room = Room("calls", most=most, most_of_one=most_of_one, patience=patience, clock=lambda: self.now)

    def enter(self, name: str, caller: str = "billing", connection: str = ""):
        return self.room.enter(caller, connection or name, lambda: self.ended.append(name))


def test_calls_that_were_heard_keep_their_places():
    world = World()
    for name in "abcd":
        world.enter(name).heard()
    world.now = 100.0
    world.room.end_overdue()
    with pytest.raises(TooManyCalls) as refused:
        world.enter("e")
    assert (refused.value.limit, refused.value.most) == ("calls", 4)
    assert world.ended == []


def test_a_place_that_was_left_can_be_had_again():
    world = World(most=1)
    for name in "abc":
        with world.enter(name) as place:
            place.heard()


def test_the_longest_silent_call_makes_room():
    world = World()
    for name in "abcd":
        world.enter(name)
        world.now += 1
    world.enter("e")
    world.enter("f")
    assert world.ended == ["a", "b"]


def test_a_call_whose_message_may_be_on_its_way_is_not_ended_for_its_like():
    world = World()
    for name in "abcd":
        world.enter(name)
    with pytest.raises(TooManyCalls):
        world.enter("e")
    assert world.ended == []


def test_a_flood_of_new_calls_costs_the_connection_it_comes_from():
    world = World()
    world.enter("good", connection="g")
    for number in range(3):
        world.enter(f"flood-{number}", connection="f")
    with pytest.raises(TooManyCalls):
        world.enter("flood-3", connection="f")
    world.enter("other", connection="o")
    assert world.ended == ["flood-0"]


def test_one_caller_has_its_share_and_no_more():
    world = World(most=10, most_of_one=2)
    for name in "ab":
        world.enter(name, caller="greedy").heard()
    with pytest.raises(TooManyCalls) as refused:
        world.enter("c", caller="greedy")
    assert (refused.value.limit, refused.value.most) == ("calls of one caller", 2)
    world.enter("d", caller="billing").heard()


def test_a_caller_at_its_share_ends_none_but_its_own_calls():
    world = World(most=10, most_of_one=2)
    world.enter("other", caller="billing")
    for name in "ab":
        world.enter(name, caller="greedy")
    world.now = 1.0
    world.enter("c", caller="greedy")
    assert world.ended == ["a"]


def test_silence_is_ended_after_the_rooms_patience_and_speaking_begins_it_anew():
    world = World()
    world.enter("silent")
    spoke, lasting = world.enter("spoke"), world.enter("lasting")
    world.now = 4.0
    spoke.spoke()
    lasting.spoke(lasting=True)
    world.now = 6.0
    world.room.end_overdue()
    assert world.ended == ["silent"]
    world.now = 60.0
    world.room.end_overdue()
    assert world.ended == ["silent", "spoke"]


def test_a_room_that_closes_ends_silence_but_for_what_has_just_come():
    world = World(most=8, most_of_one=8)
    world.enter("heard").heard()
    world.enter("silent")
    world.now += 0.2
    just_came = world.enter("just came")
    world.now += 0.2
    world.room.close()
    assert world.ended == ["silent"], "what came a moment ago may have its message with it"
    just_came.heard()
    # One that was accepted before, and came into the room after: its message may be with it, but is not waited for.
    world.enter("late and heard").heard()
    world.enter("late")
    world.now += 0.3
    world.room.end_overdue()
    assert world.ended == ["silent", "late"]


def test_nothing_is_kept_of_who_left():
    world = World(most=100, most_of_one=100)
    for number in range(1_000):
        with world.enter(f"call-{number}", caller=f"caller-{number}") as place:
            place.heard()
        with world.enter(f"silent-{number}", caller=f"caller-{number}"):
            pass
    assert not world.room._held
    assert not world.room._silent
    assert not world.room._silent_of
