"""Somebody who asks without end what must be granted and what must not, and writes down what came when."""

import threading
import time
from collections import Counter
from dataclasses import dataclass

import grpc

from policy_service.pb import decision_pb2 as pb
from tests.faults.writing import Door
from tests.support.patience import PATIENCE
from tests.support.rpc import refused

_PAUSE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One, right or wrong or a refusal's code and reason, and when it was asked for and came."""

    asked: float
    came: float
    what: str


class Asker(threading.Thread):
    """Asks one service, or several in turn; stops at the block's end."""

    def __init__(self, ports: list[int], right: dict[tuple[str, str, str], bool]) -> None:
        super().__init__(daemon=True)
        self._door, self._right = Door(ports), list(right.items())
        self._stopped = threading.Event()
        self._moved = threading.Condition()
        self.answers: list[Answer] = []
        self.counted: Counter[str] = Counter()

    def run(self) -> None:
        turn = 0
        while not self._stopped.wait(_PAUSE):
            (user, physician, action), right = self._right[turn % len(self._right)]
            turn += 1
            asked = time.monotonic()
            try:
                answer = self._door("Check", pb.CheckRequest(user=user, physician=physician, action=action))
                what = "right" if answer.allowed == right else "wrong"
            except grpc.RpcError as error:
                found = refused(error)
                what = f"{found.code.name} {found.reason}".strip()
            with self._moved:
                self.answers.append(Answer(asked=asked, came=time.monotonic(), what=what))
                self.counted[what] += 1
                self._moved.notify_all()

    def wait_for(self, what: str, after: float) -> Answer:
        """The first such answer to what was asked after a time."""
        until, place = time.monotonic() + PATIENCE, 0
        with self._moved:
            while True:
                for found in self.answers[place:]:
                    if found.asked > after and found.what == what:
                        return found
                place = len(self.answers)
                assert time.monotonic() < until, self.counted
                self._moved.wait(1)

    def between(self, begin: float, end: float) -> Counter[str]:
        """What was asked and answered in a time."""
        with self._moved:
            return Counter(answer.what for answer in self.answers if begin < answer.asked and answer.came < end)

    def __enter__(self) -> "Asker":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self.join(PATIENCE)
        self._door.close()


RIGHT = {
    ("mia", "dr-osei", "claim:submit"): True,
    ("mia", "dr-osei", "invoice:pay"): False,
    ("ama", "dr-osei", "user:invite"): True,
    ("nobody", "dr-osei", "claim:view"): False,
}
"""Of the demo accounts."""
