"""Auditors' questions against a real gRPC server that says what the test tells it to."""

from datetime import UTC, datetime
from itertools import islice

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from policy_client import AuditClient, Channel, NotFound, ProtocolError, Reason, ServiceUnavailable
from policy_client._pb import audit_pb2 as pb
from policy_client._pb import decision_pb2
from policy_client.wire.audit import verdict_from

from clients.python.tests.scripted import failing
from tests.support.patience import PATIENCE

AT = datetime(2026, 1, 31, 12, 0, 0, 5, tzinfo=UTC)


@pytest.fixture
def client(port):
    with AuditClient(f"127.0.0.1:{port}", timeout=PATIENCE) as opened:
        yield opened


def stamp(moment: datetime = AT) -> Timestamp:
    found = Timestamp()
    found.FromDatetime(moment)
    return found


def change(revision: int, **more) -> pb.Change:
    return pb.Change(revision=revision, at=stamp(), actor="ama", kind="grant", detail='{"user": "mia"}', **more)


def test_changes_come_page_by_page_as_they_are_used(script, client):
    script.answers = [
        pb.ListChangesResponse(changes=[change(9), change(8)], next_page_token="more"),
        pb.ListChangesResponse(changes=[change(7)]),
    ]
    found = client.changes(physician="dr-osei", user="mia", since=AT)
    assert [one.revision for one in islice(found, 2)] == [9, 8]
    assert len(script.asked) == 1
    assert [one.revision for one in found] == [7]
    first, second = script.asked
    assert (first.physician, first.user, first.since, first.page_token) == ("dr-osei", "mia", stamp(), "")
    assert (second.physician, second.since, second.page_token) == ("dr-osei", stamp(), "more")


def test_a_change_is_told_whole(script, client):
    row = pb.PolicyRow(fields=["g", "user:mia", "role:owner", "physician:dr-osei"])
    script.answers = [pb.ListChangesResponse(changes=[change(9, before=[row], hash="ab", previous_hash="cd")])]
    (found,) = client.changes()
    assert (found.at, found.detail, found.hash, found.previous_hash) == (AT, {"user": "mia"}, "ab", "cd")
    assert (found.before, found.after) == ((("g", "user:mia", "role:owner", "physician:dr-osei"),), ())


@pytest.mark.parametrize(("allowed", "outcome"), [(None, 0), (True, 1), (False, 2)])
def test_a_recorded_decision_is_told_as_it_was(script, client, allowed, outcome):
    script.answers = [
        pb.ListDecisionsResponse(
            decisions=[
                pb.LoggedDecision(
                    decision_id="r-1", at=stamp(), user="mia", channel=decision_pb2.CHANNEL_MOBILE,
                    reason=decision_pb2.REASON_CHANNEL_NOT_ALLOWED,
                )
            ]
        )
    ]  # fmt: skip
    (found,) = client.decisions(allowed=allowed, correlation_id="c")
    assert (found.channel, found.reason, found.role, found.at) == (Channel.MOBILE, Reason.CHANNEL_NOT_ALLOWED, None, AT)
    assert (script.asked[0].outcome, script.asked[0].correlation_id) == (outcome, "c")


@pytest.mark.parametrize(
    ("at", "point"), [(None, pb.Point()), (7, pb.Point(revision=7)), (AT, pb.Point(at=stamp()))], ids=str
)
def test_a_review_is_of_a_revision_a_time_or_now(script, client, at, point):
    held = pb.HeldRole(role="owner", since_revision=2, since=stamp(), granted_by="ama")
    action = pb.ReviewedAction(action="claim:view", shown=True, reason=decision_pb2.REASON_GRANTED, role="owner")
    script.answers = [
        pb.ReviewAccessResponse(
            revision=7, at=stamp(), access=[pb.ReviewedAccess(user="ama", roles=[held], actions=[action])],
            custom_roles=[pb.ReviewedRole(role="desk")], pending=[pb.ReviewedInvitation(id="i", invited_at=stamp())],
            next_page_token="more",
        ),
        pb.ReviewAccessResponse(revision=7, at=stamp(), access=[pb.ReviewedAccess(user="ben")]),
    ]  # fmt: skip
    found = client.review_account("dr-osei", at=at)
    assert (found.physician, found.user, found.revision, found.at) == ("dr-osei", "", 7, AT)
    assert [access.user for access in found.access] == ["ama", "ben"]
    assert (found.access[0].roles[0].since, found.access[0].actions[0].reason) == (AT, Reason.GRANTED)
    assert ([role.role for role in found.custom_roles], [one.id for one in found.pending]) == (["desk"], ["i"])
    assert (script.asked[0].as_of, script.asked[0].physician) == (point, "dr-osei")


def test_pages_of_several_revisions_are_thrown_away(script, client):
    script.answers = [pb.ReviewAccessResponse(revision=7, next_page_token="more"), pb.ReviewAccessResponse(revision=8)]
    with pytest.raises(ProtocolError):
        client.review_user("mia")
    assert script.asked[0].user == "mia"


def test_a_diff_is_whole(script, client):
    one, two = (pb.AccessDifference(physician="dr-osei", user=user, gained=["claim:view"]) for user in ("a", "b"))
    script.answers = [
        pb.DiffAccessResponse(earlier_revision=3, later_revision=9, differences=[one], next_page_token="more"),
        pb.DiffAccessResponse(earlier_revision=3, later_revision=9, differences=[two]),
    ]
    found = client.diff(3, AT, physician="dr-osei")
    assert (found.earlier_revision, found.later_revision, [d.user for d in found.differences]) == (3, 9, ["a", "b"])
    assert (script.asked[0].earlier, script.asked[0].later) == (pb.Point(revision=3), pb.Point(at=stamp()))


def test_nothing_of_a_verdict_is_left_out():
    """A field that the contract has and the client does not read is an answer that nobody gets."""
    told = pb.Verdict(replicas=[pb.ReplicaLog(replica="r")], losses=[pb.Loss(replica="r", lost=7)])
    for field in told.DESCRIPTOR.fields:
        if not field.is_repeated:
            setattr(told, field.name, {str: field.name, bool: True, int: 7}[type(getattr(told, field.name))])
    found = verdict_from(told)
    for field in told.DESCRIPTOR.fields:
        assert getattr(found, field.name), field.name


def test_a_walk_tells_how_far_it_is_and_then_the_verdict(script, client):
    log = pb.ReplicaLog(replica="r", decisions=3, first_sequence=1, last_sequence=5, started_at=stamp())
    parts = [
        *(pb.VerifyLogResponse(progress={"done": done, "total": 9}) for done in (5, 9)),
        pb.VerifyLogResponse(verdict=pb.Verdict(whole=True, entries=9, replicas=[log])),
    ]
    script.answers = [parts]
    said = []
    verdict = client.verify(["kept"], progress=lambda at: said.append((at.done, at.total)))
    assert (verdict.whole, verdict.entries, said) == (True, 9, [(5, 9), (9, 9)])
    assert (verdict.replicas[0].missing, verdict.replicas[0].ended_at) == (2, None)
    assert list(script.asked[0].against) == ["kept"]
    script.answers = [parts[:1]]
    with pytest.raises(ProtocolError):
        client.verify()


@pytest.mark.parametrize(
    "ask",
    [
        lambda c: c.changes(since=datetime(2026, 1, 31)),  # noqa: DTZ001
        lambda c: c.decisions(until=datetime(2026, 1, 31)),  # noqa: DTZ001
        lambda c: c.review_account("dr-osei", at=datetime(2026, 1, 31)),  # noqa: DTZ001
        lambda c: c.diff(datetime(2026, 1, 31)),  # noqa: DTZ001
    ],
)
def test_a_time_without_a_zone_is_refused_before_asking(script, client, ask):
    with pytest.raises(ValueError, match="time zone"):
        ask(client)
    assert script.asked == []


@pytest.mark.parametrize(
    "ask",
    [
        lambda c: list(c.changes()),
        lambda c: list(c.decisions()),
        lambda c: c.review_account("dr-osei"),
        lambda c: c.review_user("mia"),
        lambda c: c.diff(1),
        lambda c: c.verify(),
    ],
)
def test_a_refusal_is_a_typed_error(script, client, ask):
    script.answers = [failing(grpc.StatusCode.NOT_FOUND, "UNKNOWN_REVISION")]
    with pytest.raises(NotFound) as refused:
        ask(client)
    assert refused.value.reason == "UNKNOWN_REVISION"
    script.answers = [failing(grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")]
    with pytest.raises(ServiceUnavailable):
        ask(client)
