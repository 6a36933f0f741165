"""Blocking checks: see ``checking``."""

from queue import Empty, SimpleQueue
from typing import Any

from google.protobuf.message import Message

from policy_client.answers import Decision, Question
from policy_client.blocking import BlockingClient
from policy_client.calls import method_of
from policy_client.checking import CheckingClient
from policy_client.memory import now
from policy_client.turns import Asking
from policy_client.wire import decision as wire


class BlockingChecks(CheckingClient, BlockingClient):
    """The blocking driver of the decision plane."""

    def _check(self, question: Question, timeout: float | None) -> Decision:
        """One question, asked or remembered."""
        request = wire.check_request(question)
        if (found := self._remembered(question)) is not None:
            # What cannot be is refused, whether or not it would be asked.
            self._seconds(timeout, 0.0)
            return found
        asked = now()
        decision = self._ask(
            request, lambda reply: wire.decision_from(reply, question.min_revision), timeout, shared=True
        )
        self._keep(question, decision, asked)
        return decision

    def _attempt(self, request: Message, asking: Asking) -> Any:
        if not self._is_hedged(request):
            return super()._attempt(request, asking)
        path, write, parse = method_of(request)
        seconds, ended = asking.left, SimpleQueue[Any]()

        def begin(at: int) -> Any:
            channel = self._channels[at].get()
            call = channel.unary_unary(path, request_serializer=write, response_deserializer=parse).future(
                request, timeout=seconds
            )
            call.add_done_callback(ended.put)
            return call

        calls = {begin(asking.at): asking.at}
        try:
            try:
                call = ended.get(timeout=self._hedge_after)
            except Empty:
                calls[begin(asking.other)] = asking.other
                call = ended.get()
                if call.exception() is not None:
                    call = ended.get()
            reply = call.result()
        finally:
            for one in calls:
                one.cancel()
        asking.answered(calls[call])
        return reply
