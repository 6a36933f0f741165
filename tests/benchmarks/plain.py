"""A stock pycasbin enforcer with everybody's rows, beside the service's own check on the same rows, in process."""

import random
import time
from collections.abc import Callable, Iterator
from statistics import median

from policy_service.decide import Account, Basis, Snapshot, read_model
from policy_service.policy_text import read_seed
from policy_service.settings import policies_dir
from policy_service.vocabulary import Channel, Held, Physician, User
from tests.benchmarks import population
from tests.benchmarks.figures import Figure
from tests.benchmarks.workbench import Workbench
from tests.support.actions import Action
from tests.support.oracle import lines_of
from tests.support.plain_casbin import plain_allows, plain_enforcer

_CHECKS = 100

Question = tuple[User, Physician, Action]


def measure(bench: Workbench) -> Iterator[Figure]:
    """The same questions to both, and the same answers."""
    physicians = bench.sizes.plain
    bench.say(f"plain pycasbin with {physicians:,} physicians")
    plain, first, again = bench.fresh(compare, physicians=physicians)
    what = f"a check by plain pycasbin with all rows of {physicians:,} physicians"
    for name, beside_what, beside in (
        ("plain_first", "the service's first check in an account, in process", first),
        ("plain_warm", "the service's warm check, in process", again),
    ):
        yield Figure(name=name, what=what, value=plain, unit="ms", beside_what=beside_what, beside=beside)


def compare(physicians: int) -> tuple[float, float, float]:
    """Median milliseconds of a check: plain pycasbin, the service's first in an account, its next."""
    seed = read_seed(policies_dir() / "seed.csv")
    rows = {number: list(population.rows(number)) for number in range(physicians)}
    enforcer = plain_enforcer(lines_of([*seed, *(row for own in rows.values() for row in own)]))
    basis = Basis(read_model(policies_dir() / "model.conf"), seed)
    accounts = [Account.of_rows(basis, Physician(population.physician(number)), own) for number, own in rows.items()]
    snapshot = Snapshot.of(Held(revision=1), basis, accounts)
    chance = random.Random(1)
    asked = [
        (
            User(population.user(number, chance.randrange(population.USERS))),
            Physician(population.physician(number)),
            chance.choice(list(Action)),
        )
        for number in chance.sample(range(physicians), min(_CHECKS, physicians))
    ]

    def service(user: User, physician: Physician, action: Action) -> bool:
        return snapshot.check(user, physician, action, Channel.WEB).allowed

    def plain(user: User, physician: Physician, action: Action) -> bool:
        return plain_allows(enforcer, user, physician, action)

    (theirs, plain_time), (ours, first), (_, again) = (_timed(ask, asked) for ask in (plain, service, service))
    if theirs != ours:
        raise AssertionError("plain pycasbin and the service differ")
    return plain_time, first, again


def _timed(ask: Callable[[User, Physician, Action], bool], asked: list[Question]) -> tuple[list[bool], float]:
    answers, times = [], []
    for question in asked:
        began = time.perf_counter()
        answers.append(ask(*question))
        times.append((time.perf_counter() - began) * 1e3)
    return answers, median(times)
