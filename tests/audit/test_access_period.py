"""Who could at any time between two dates, and when: as a review at each revision in between would say."""

import asyncio
import json
import random
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from typer.testing import CliRunner

from policy_service.cli.main import app as command
from policy_service.cli.points import read_time, read_zone
from policy_service.pb import audit_pb2 as pb
from tests.replicate.test_follower import PAST_TRIGGERS, execute
from tests.seed.test_seeds import DELETE, Ops
from tests.support.accounts import grant, reached, register, revoke
from tests.support.people import Page
from tests.support.rpc import Refused
from tests.support.seeds import SEED

DAY = timedelta(days=1)
BEGIN = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
async def story(app, management, database):
    """Changes of grants, of an account's own role and of the seed, a day apart; the last revision."""
    await register(app, "dr-a", "olive")
    page, ops = Page(management, "olive", "dr-a"), Ops(management)
    await register(app, "dr-b", "bo")
    await grant(app, "dr-a", "dan", "data_entry")
    await grant(app, "dr-b", "dan", "financial_viewer")
    await page.create_role("desk", "claim:view", deny=("claim:delete",))
    await grant(app, "dr-a", "eve", "desk")
    await revoke(app, "dr-a", "dan", "data_entry")
    await reached(app, await grant(app, "dr-a", "fay", "data_entry"))
    await ops.change(SEED.replace(DELETE, ""))
    await grant(app, "dr-a", "dan", "desk")
    await ops.change(SEED)
    await reached(app, last := await revoke(app, "dr-a", "fay", "data_entry"))
    # The chain is not asked about here.
    moved = f"UPDATE changes SET at = timestamptz '{BEGIN.isoformat()}' + (revision - 1) * interval '1 day'"
    await execute(database, PAST_TRIGGERS + moved)
    return last


def stamp(moment: datetime) -> Timestamp:
    found = Timestamp()
    found.FromDatetime(moment)
    return found


async def spans(management, **fields):
    found, token = [], ""
    while True:
        page = await management("ReviewPeriod", pb.ReviewPeriodRequest(page_token=token, **fields))
        found += page.spans
        if not (token := page.next_page_token):
            return found


async def reviewed(management, revision, subject):
    """Who could what at a revision, by the review of it: (user, physician, action)."""
    try:
        found = await management("ReviewAccess", pb.ReviewAccessRequest(as_of=pb.Point(revision=revision), **subject))
    except Refused as refused:
        assert refused.reason == "UNKNOWN_PHYSICIAN"
        return set()
    return {(a.user, a.physician, one.action) for a in found.access for one in a.actions if one.shown}


async def test_a_period_is_the_reviews_of_its_revisions_put_together(management, story):
    for subject in ({"physician": "dr-a"}, {"user": "dan"}):
        await agrees_with_reviews(management, story, subject)


async def agrees_with_reviews(management, story, subject) -> None:
    at = {revision: await reviewed(management, revision, subject) for revision in range(1, story + 1)}
    rng = random.Random(5)
    periods = [(1, story), *(sorted(rng.sample(range(2, story + 1), 2)) for _ in range(6))]
    for first, last in periods:
        fields = {"since": stamp(BEGIN + (first - 1) * DAY), "until": stamp(BEGIN + last * DAY)}
        found = await spans(management, page_size=1, **fields, **subject)
        told = {revision: set() for revision in range(first, last + 1)}
        for span in found:
            begun, ended = span.from_revision or first, span.until_revision or last + 1
            assert span.HasField("from") == bool(span.from_revision)
            if span.from_revision:
                assert getattr(span, "from").ToDatetime(UTC) == BEGIN + (begun - 1) * DAY
            for revision in range(begun, ended):
                told[revision].add((span.user, span.physician, span.action))
        assert told == {revision: at[revision] for revision in told}


async def test_one_action_is_asked_about_alone(management, story):
    found = await spans(management, physician="dr-a", action="claim:delete")
    assert [(span.user, span.from_revision, span.until_revision) for span in found if span.user != "olive"] == [
        ("dan", 4, 8),
        ("fay", 9, 10),
        ("fay", 12, 13),
    ]


WRONG = [
    ({}, grpc.StatusCode.INVALID_ARGUMENT, "physician"),
    ({"physician": "dr a"}, grpc.StatusCode.INVALID_ARGUMENT, "physician"),
    ({"user": "dan", "action": "claim paint"}, grpc.StatusCode.INVALID_ARGUMENT, "action"),
    ({"user": "dan", "action": "claim:paint"}, grpc.StatusCode.NOT_FOUND, ""),
    ({"user": "dan", "since": stamp(BEGIN), "until": stamp(BEGIN)}, grpc.StatusCode.INVALID_ARGUMENT, "until"),
    ({"physician": "dr-no"}, grpc.StatusCode.NOT_FOUND, ""),
    ({"user": "nobody"}, grpc.StatusCode.NOT_FOUND, ""),
    ({"physician": "dr-a", "until": stamp(BEGIN)}, grpc.StatusCode.NOT_FOUND, ""),
]


async def test_what_cannot_be_read_or_is_unknown_is_said(management, story):
    for fields, code, named in WRONG:
        with pytest.raises(Refused) as refused:
            await management("ReviewPeriod", pb.ReviewPeriodRequest(**fields))
        assert refused.value.code is code
        assert list(refused.value.fields) == ([named] if named else [])


async def test_more_than_one_answer_looks_at_is_refused_before_it_is_begun(management, story, monkeypatch):
    from policy_service.audit import periods

    monkeypatch.setattr(periods, "_MOST_ROWS", 50)
    with pytest.raises(Refused) as refused:
        await management("ReviewPeriod", pb.ReviewPeriodRequest(physician="dr-a"))
    assert refused.value.reason == "PERIOD_TOO_LONG"


async def test_the_command_takes_dates_of_a_zone(app, story):
    address = f"127.0.0.1:{app.planes.management_port}"
    # Dan lost data entry on the 8th at noon, UTC.
    words = ["audit", "review", "dr-a", "--action", "claim:delete", "--address", address]

    async def users(*more: str) -> set[str]:
        found = await asyncio.to_thread(CliRunner().invoke, command, [*words, *more, "--json"])
        assert found.exit_code == 0, found.output
        return {span["user"] for span in json.loads(found.output)["spans"]}

    assert await users("--from", "2026-01-08T12:00") == {"olive", "fay"}
    assert await users("--from", "2026-01-08T11:59") == {"olive", "fay", "dan"}
    # Noon in Toronto is five hours later.
    assert await users("--from", "2026-01-08T06:59", "--zone", "America/Toronto") == {"olive", "fay", "dan"}
    assert await users("--from", "2026-01-08T07:00", "--zone", "America/Toronto") == {"olive", "fay"}
    assert await users("--from", "2026-01-08T07:00-05:00") == {"olive", "fay"}
    # A last day is held, all of it: fay came on the 9th at noon.
    assert await users("--from", "2026-01-05", "--until", "2026-01-08") == {"olive", "dan"}
    assert await users("--from", "2026-01-05", "--until", "2026-01-09") == {"olive", "dan", "fay"}
    for wrong in (["--from", "yesterday"], ["--until", "2026-01-09"], ["--from", "7d", "--zone", "Mars/Base"]):
        assert (await asyncio.to_thread(CliRunner().invoke, command, [*words, *wrong])).exit_code == 2
    shown = await asyncio.to_thread(CliRunner().invoke, command, [*words, "--from", "2026-01-05"])
    assert "still at the end" in shown.output
    listed = await asyncio.to_thread(CliRunner().invoke, command, [*words, "--from", "2026-01-05", "--csv"])
    assert listed.output.splitlines()[0].endswith("physician,user,action,from,until,from_revision,until_revision")


def test_a_day_has_the_length_that_it_has_in_its_zone():
    """The clocks went forward in Toronto on the 8th of March 2026."""
    zone, now = read_zone("America/Toronto"), datetime(2026, 6, 1, tzinfo=UTC)
    begin, end = read_time("2026-03-08", "--from", now, zone), read_time("2026-03-08", "--until", now, zone, end=True)
    assert (begin, end) == (datetime(2026, 3, 8, 5, tzinfo=UTC), datetime(2026, 3, 9, 4, tzinfo=UTC))
    assert read_time("2026-03-08T10:00", "--until", now, end=True) == datetime(2026, 3, 8, 10, tzinfo=UTC)
