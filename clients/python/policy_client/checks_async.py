"""Checks on asyncio: see ``checking``."""

import asyncio
from typing import Any

from google.protobuf.message import Message

from policy_client.answers import Decision, Question
from policy_client.asynchronous import AsyncioClient
from policy_client.checking import CheckingClient
from policy_client.memory import now
from policy_client.turns import Asking
from policy_client.wire import decision as wire


class AsyncioChecks(CheckingClient, AsyncioClient):
    """The asyncio driver of the decision plane."""

    async def _check(self, question: Question, timeout: float | None) -> Decision:
        """One question, asked or remembered."""
        request = wire.check_request(question)
        if (found := self._remembered(question)) is not None:
            # What cannot be is refused, whether or not it would be asked.
            self._seconds(timeout, 0.0)
            return found
        asked = now()
        decision = await self._ask(
            request, lambda reply: wire.decision_from(reply, question.min_revision), timeout, shared=True
        )
        self._keep(question, decision, asked)
        return decision

    async def _attempt(self, request: Message, asking: Asking) -> Any:
        if not self._is_hedged(request):
            return await super()._attempt(request, asking)
        seconds = asking.left

        def begin(at: int) -> "asyncio.Task[Any]":
            return asyncio.create_task(self._one(request, at, seconds))

        calls = {begin(asking.at): asking.at}
        try:
            ended, _ = await asyncio.wait(calls, timeout=self._hedge_after)
            if not ended:
                calls[begin(asking.other)] = asking.other
                ended, others = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
                if others and all(call.exception() is not None for call in ended):
                    ended, _ = await asyncio.wait(others)
            call = min(ended, key=lambda one: one.exception() is not None)
            reply = call.result()
        finally:
            for one in calls:
                one.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
        asking.answered(calls[call])
        return reply
