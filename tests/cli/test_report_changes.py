"""Changes in the access review: in plain words, of the period, of this account or person, and on a timeline."""

from datetime import datetime

import pytest
from policy_client.reviews import AccessReview, Change

from policy_service.cli.report_changes import tell
from policy_service.cli.report_timeline import timeline_of
from tests.support.markup import Element, Tree
from tests.support.reviews import access, change, day, held, mia, osei, page, review


def read(told: tuple[AccessReview, list[Change]], *, since: datetime | None = None) -> Element:
    return Tree(page(told, since=since)).root


def lines(root: Element) -> list[str]:
    divs = root.section("changes").all("div")
    return [found.text for found in divs if found.attributes.get("class", "").startswith("line")]


def test_changes_are_told_in_words():
    told = lines(read(osei()))
    assert "mia: + night-shift" in told
    assert "jonas: − data_entry" in told
    assert "role front-desk: − claim:delete" in told
    assert "built-in role administrator: + user:list" in told
    assert "tomas.weber@partner-billing.example: + own selection, − financial_viewer" in told
    assert "own selection of tomas.weber@partner-billing.example: + claim:view, + report:generate" in told
    assert (
        "role outside-auditor: + includes financial_viewer, + never invoice:pay, + never report:patient_details" in told
    )
    assert told[-4:-2] == ["person: omar", "would get: data_entry"]


def test_changes_name_who_through_which_service_and_why():
    rows = read(osei()).section("changes").one("tbody").all("tr")
    first = rows[0]
    assert first.one("th").text == "9"
    assert [cell.text for cell in first.all("td")][:2] == ["2026-09-18 08:30 UTC", "kim through ops"]
    assert first.all("td")[3].text == "TICKET-482: administrators see lists"
    assert [int(row.one("th").text) for row in rows] == sorted(int(row.one("th").text) for row in rows)


def test_every_kind_of_change_that_the_service_writes_has_words():
    kinds = "physician.register invite invitation.resend invitation.cancel invitation.accept permissions.update access.revoke role.create role.update role.delete grant revoke seed.install seed.apply seed.rollback model.install demo.load policy.import log.statement"
    for kind in kinds.split():
        told = tell(change(1, 0, kind), review())
        assert told.title != kind


def test_a_kind_that_is_newer_than_the_report_is_shown_as_it_is():
    assert "audit.export" in read((review(), [change(3, 1, "audit.export")])).section("changes").one("tbody").text


def test_only_the_period_is_told_and_nothing_after_the_revision():
    found, changes = osei()
    later = [*changes, change(32, 81, "grant", reason="too late")]
    root = read((found, later), since=day(63))
    revisions = [int(row.one("th").text) for row in root.section("changes").one("tbody").all("tr")]
    assert revisions == [24, 27, 28, 29, 30, 31]
    assert "since 2026-11-03 08:30 UTC" in root.one("h2", id="changes").text


def test_other_accounts_people_are_not_named():
    rows = [
        ("g", "user:mia", "role:data_entry", "physician:dr-osei"),
        ("g", "user:zoe", "role:data_entry", "physician:dr-tran"),
        ("g", "service:billing", "role:decision_caller", "system"),
    ]
    loaded = change(2, 0, "demo.load", physician="", after=rows)
    text = page((review(access=(access("mia", held("data_entry")),)), [loaded]))
    assert "zoe" not in text
    assert "2 more rows of others" in text


def test_the_timeline_has_a_mark_for_each_day_and_kind():
    found, changes = osei()
    timeline = timeline_of([tell(entry, found) for entry in changes], day(10), found.at)
    assert timeline
    assert sum(dot.count for dot in timeline.dots) == len(changes)
    assert "Invitations: 2 on 2026-11-20" in timeline.words
    assert [lane for lane, _ in timeline.lanes] == ["Access", "Invitations", "Roles", "Policy"]
    svg = read(osei()).one("svg")
    assert len(svg.all("circle")) == len(timeline.dots)
    assert svg.one("desc").text.startswith("Access: 1 on 2026-09-22; ")


@pytest.mark.parametrize("days", [0, 1, 91, 92, 400, 5000])
def test_the_marks_of_any_period_stay_inside_the_picture(days):
    changes = [tell(change(number + 1, days * number / 20, "grant"), review()) for number in range(21)]
    timeline = timeline_of(changes, None, day(days))
    assert timeline
    assert all(timeline.left <= dot.x <= 1000 - dot.radius for dot in timeline.dots)
    assert all(dot.radius <= dot.y <= timeline.height - 24 for dot in timeline.dots)
    assert len(timeline.ticks) <= 8
    assert sum(dot.count for dot in timeline.dots) == 21


def test_a_persons_changes_name_the_account_and_nobody_else():
    root = read(mia())
    assert lines(root) == [
        "mia in dr-osei: + data_entry",
        "mia in dr-silver: + financial_viewer",
        "mia in dr-tran: + data_entry",
        "1 more row of others, not part of this review",
    ]
    assert "noah" not in page(mia())
