"""What both clients that ask for decisions are besides: they ask a second address, or remember, where they are told to.

Both are off until asked for. A second attempt costs the service a second answer, recorded too; a remembered answer may
be older than a revocation (``memory.py``).
"""

from typing import Any

from google.protobuf.message import Message

from policy_client._pb import decision_pb2 as pb
from policy_client.answers import Decision, Question
from policy_client.channel import Credentials, Options, Target, read_timeout
from policy_client.client import Client
from policy_client.forking import forks
from policy_client.memory import Memory, Remember, is_for_the_log
from policy_client.revisions import revision_of


class CheckingClient(Client):
    """A client of the decision plane."""

    def __init__(
        self,
        target: Target | None = None,
        *,
        timeout: float | None = None,
        credentials: Credentials = "environment",
        options: Options = (),
        hedge_after: float | None = None,
        remember: Remember | None = None,
    ) -> None:
        """As every client. A check without answer after ``hedge_after`` seconds is asked a second time, elsewhere.

        With ``remember`` answers are given again for so long: see ``Remember`` for what that means for a revocation.
        """
        super().__init__(target, timeout=timeout, credentials=credentials, options=options)
        self._hedge_after = None if hedge_after is None else read_timeout(hedge_after, "hedge_after")
        if remember is not None and not isinstance(remember, Remember):
            raise TypeError(f"remember is {type(remember).__name__}; write Remember(seconds=2)")
        self._remember = remember
        self._kept: tuple[int, Memory] | None = None

    def _is_hedged(self, request: Message) -> bool:
        return self._hedge_after is not None and isinstance(request, pb.CheckRequest)

    @property
    def _memory(self) -> Memory | None:
        """This process's: a lock may have been held when it was forked off."""
        if self._remember is None:
            return None
        kept = self._kept
        if kept is None or kept[0] != forks.generation:
            kept = self._kept = forks.generation, Memory(self._remember)
        return kept[1]

    def _remembered(self, question: Question) -> Decision | None:
        memory = self._memory
        return None if memory is None or is_for_the_log(question) else memory.find(question)

    def _keep(self, question: Question, decision: Decision, asked: float) -> None:
        memory = self._memory
        if memory is not None:
            memory.keep(question, decision, asked)

    def _heard(self, reply: Any) -> None:
        memory = self._memory
        if memory is not None:
            memory.saw(revision_of(reply.decision if isinstance(reply, pb.ExplainResponse) else reply))
