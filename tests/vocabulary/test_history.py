"""A revision is known by its name, in the history that led here, as far back as that is remembered."""

import random
from uuid import UUID, uuid4

import pytest

from policy_service.vocabulary import ForeignHistory, Held, History, digits, history, name_of, short


def is_own(found: History, revision: int, mark: UUID) -> bool:
    try:
        found.refuse_foreign(revision, short(mark))
    except ForeignHistory:
        return False
    return True


def test_it_knows_its_own_and_no_other_through_restores_and_growth(monkeypatch):
    """Against a plain list, while it grows in leaps, is loaded anew, and forks."""
    monkeypatch.setattr(history, "MOST_REMEMBERED", 50)
    rng = random.Random(8)
    past = [uuid4() for _ in range(120)]
    lost: list[tuple[int, UUID]] = []
    known = History.of(len(past), {n + 1: past[n] for n in range(len(past) - 50, len(past))})
    kept = [(known, list(past))]
    for _ in range(300):
        if rng.random() < 0.1:
            # A restore, after which others write: what came behind is of a history that is no more.
            cut = rng.randrange(len(past) - 20, len(past))
            lost += [(n + 1, past[n]) for n in range(cut, len(past))]
            del past[cut:]
            past += [uuid4() for _ in range(rng.randrange(1, 5))]
            known = History.of(len(past), {n + 1: past[n] for n in range(max(0, len(past) - 50), len(past))})
        else:
            new = [uuid4() for _ in range(rng.randrange(1, 8))]
            last = len(past)
            past += new
            known = known.after(len(past), {last + 1 + n: mark for n, mark in enumerate(new)})
        assert known.name == name_of(past[-1])
        assert all(is_own(known, len(past) - back, past[-1 - back]) for back in range(50))
        assert not any(is_own(known, revision, mark) for revision, mark in lost if revision <= len(past))
        kept.append((known, list(past)))
        # Earlier ones, whose memory is shared, still know theirs and nothing that came later.
        before, then = rng.choice(kept)
        assert is_own(before, len(then), then[-1])
        assert before.at(len(then) + 1) == 0
        assert len(known._names) <= 2 * 50 + 8


def test_what_is_older_than_is_remembered_is_refused(monkeypatch):
    monkeypatch.setattr(history, "MOST_REMEMBERED", 10)
    marks = {n: uuid4() for n in range(1, 60)}
    known = History.of(20, {n: marks[n] for n in range(11, 21)})
    for last in range(21, 60):
        known = known.after(last, {last: marks[last]})
    assert is_own(known, 50, marks[50])
    assert not is_own(known, 5, marks[5])
    with pytest.raises(ForeignHistory) as refused:
        known.refuse_foreign(5, short(marks[5]))
    assert 11 <= refused.value.remembered_from <= 50


def test_a_missing_mark_is_nobodys():
    known = History.of(3, {1: uuid4(), 3: uuid4()})
    with pytest.raises(ForeignHistory):
        known.refuse_foreign(2, 0)
    with pytest.raises(ForeignHistory):
        History.ending(Held(revision=0)).refuse_foreign(0, 0)


def test_a_name_is_64_bits_of_which_none_is_fixed():
    ones, zeros = 0, (1 << 64) - 1
    for _ in range(200):
        found = short(uuid4())
        ones, zeros = ones | found, zeros & found
    assert (ones, zeros) == ((1 << 64) - 1, 0)


@pytest.mark.parametrize("text", ["", "0", "G" * 16, "A" * 16, "0" * 15, "0" * 17, "0x" + "0" * 14, "٠" * 16, " " * 16])
def test_what_is_no_name_is_none(text):
    assert digits(text) is None
