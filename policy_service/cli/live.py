"""``seed test --live``: what a running service decides, asked through the same client as everybody."""

from dataclasses import replace
from typing import Final

from policy_client import Channel, Decision, PolicyClient, Question, SeedClient
from policy_client.calls import MOST_QUESTIONS

from policy_service.policy_text import ExpectationFile, UserExpectation, UserQuestion, read_rows
from policy_service.seed import Result, Tested
from policy_service.vocabulary import Action, Row

ATTEMPTS: Final = 5
"""How often a file is asked anew because the policy changed between two of its batches."""


def seed_in_force(client: PolicyClient, management: str) -> tuple[Row, ...]:
    """The built-in rows that the running service decides by, asked of its management plane."""
    with client.on(management, SeedClient) as seeds:
        return read_rows(seeds.seed(), "the seed in force")


def ask(client: PolicyClient, file: ExpectationFile) -> Tested:
    """Ask everything that a live file expects, all at one revision unless the policy keeps changing meanwhile.

    Raises BrokenPolicy for a file that expects what is no action there.
    """
    actions = [Action(info.action) for info in client.actions()]
    file.refuse_unknown(actions)
    asked = [
        (line, expectation.why, question, expected)
        for line, expectation in file.expectations
        if isinstance(expectation, UserExpectation)
        for question, expected in expectation.questions(actions)
    ]
    questions = [_on_the_wire(question) for _, _, question, _ in asked]
    for _ in range(ATTEMPTS):
        decisions = _decisions(client, questions)
        revisions = sorted({decision.revision for decision in decisions})
        if len(revisions) == 1:
            break
    results = (
        Result(
            line=line,
            why=why,
            question=question,
            expected=expected,
            found=decision.allowed,
            reason=decision.reason.value,
        )
        for (line, why, question, expected), decision in zip(asked, decisions, strict=True)
    )
    return Tested(file=file.path.name, results=tuple(results), revisions=tuple(revisions))


def _decisions(client: PolicyClient, questions: list[Question]) -> list[Decision]:
    """The answers, by batches; none is older than the batch before, whichever replica gives it."""
    decisions: list[Decision] = []
    for start in range(0, len(questions), MOST_QUESTIONS):
        reached = decisions[-1].revision if decisions else 0
        batch = questions[start : start + MOST_QUESTIONS]
        decisions += client.check_many(replace(question, min_revision=reached) for question in batch)
    return decisions


def _on_the_wire(question: UserQuestion) -> Question:
    return Question(
        user=question.user,
        physician=question.physician,
        action=question.action,
        channel=Channel(question.channel.value),
    )
