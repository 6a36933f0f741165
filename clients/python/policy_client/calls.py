"""What each method of the decision plane sends and how its reply is read: once, for both kinds of client."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from policy_client import answers
from policy_client._pb import decision_pb2 as pb
from policy_client.answers import Decision, Explanation, Permissions, Places, Question, Users, Via
from policy_client.revisions import history_of

MOST_QUESTIONS = 1_000
LIST_ATTEMPTS = 5
"""How often a list is begun again because it changed between two of its pages."""

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Call(Generic[Answer]):
    """One call: its path, its request, and the reading of its reply."""

    path: str
    request: Any
    response_type: Any
    read: Callable[[Any], Answer]


@dataclass(frozen=True, slots=True)
class Listing(Generic[Answer]):
    """A list that comes in pages: a call for the first, and the reading of all."""

    first: Call[Any]
    read: Callable[[list[Any]], Answer]

    def page(self, token: str) -> Call[Any]:
        """The call for a page."""
        request = type(self.first.request)()
        request.CopyFrom(self.first.request)
        request.page_token = token
        return Call(self.first.path, request, self.first.response_type, as_it_is)


def as_it_is(response: Any) -> Any:
    """A page, read with the others."""
    return response


def check(question: Question) -> Call[Decision]:
    """DecisionService.Check."""
    return Call(
        "/policy.v1.DecisionService/Check",
        answers.check_request(question),
        pb.CheckResponse,
        lambda response: answers.decision_from(response, question.min_revision),
    )


def batch_check(questions: Iterable[Question]) -> Call[list[Decision]]:
    """DecisionService.BatchCheck; raises ValueError over the limit, since one call is one revision."""
    asked = list(questions)
    if len(asked) > MOST_QUESTIONS:
        raise ValueError(f"{len(asked)} questions; one call answers at most {MOST_QUESTIONS}, all at one revision")
    return Call(
        "/policy.v1.DecisionService/BatchCheck",
        pb.BatchCheckRequest(checks=[answers.check_request(question) for question in asked]),
        pb.BatchCheckResponse,
        lambda response: answers.decisions_from(response, len(asked)),
    )


def explain(question: Question) -> Call[Explanation]:
    """DecisionService.Explain."""
    return Call(
        "/policy.v1.DecisionService/Explain",
        pb.ExplainRequest(check=answers.check_request(question)),
        pb.ExplainResponse,
        answers.explanation_from,
    )


def list_actions(user: str, physician: str, channel: Via, min_revision: int) -> Call[Permissions]:
    """DecisionService.ListActions."""
    return Call(
        "/policy.v1.DecisionService/ListActions",
        pb.ListActionsRequest(
            user=user,
            physician=physician,
            channel=answers.channel_number(channel),
            min_revision=min_revision,
            history=history_of(min_revision),
        ),
        pb.ListActionsResponse,
        answers.permissions_from,
    )


def list_users(action: str, physician: str, channel: Via, min_revision: int) -> Listing[Users]:
    """DecisionService.ListUsers."""
    request = pb.ListUsersRequest(
        action=action,
        physician=physician,
        channel=answers.channel_number(channel),
        min_revision=min_revision,
        history=history_of(min_revision),
    )
    first = Call("/policy.v1.DecisionService/ListUsers", request, pb.ListUsersResponse, as_it_is)
    return Listing(first, answers.users_from)


def list_physicians(user: str, action: str | None, channel: Via, min_revision: int) -> Listing[Places]:
    """DecisionService.ListPhysicians."""
    request = pb.ListPhysiciansRequest(
        user=user,
        action=action or "",
        channel=answers.channel_number(channel),
        min_revision=min_revision,
        history=history_of(min_revision),
    )
    first = Call("/policy.v1.DecisionService/ListPhysicians", request, pb.ListPhysiciansResponse, as_it_is)
    return Listing(first, answers.places_from)
