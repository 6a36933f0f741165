"""Counts calls and what they took, at the price of an append for each.

What is noted is counted when somebody reads, and by whoever settles meanwhile.
The same counts are told twice: in classic buckets, and as a native histogram to
a reader that takes OpenMetrics 2.0.
"""

import math
import threading
from collections import Counter as Counts
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prometheus_client.core import (
    BucketSpan,
    CounterMetricFamily,
    HistogramMetricFamily,
    Metric,
    NativeHistogram,
    Sample,
)
from prometheus_client.registry import Collector

_FAULT: Final = "INTERNAL"
_TIMES: Final = "policy_call_seconds"
_SCHEMA: Final = 3
"""Of native histograms: each bucket's end is the one before times 2 to the power of 2**-3."""
_FIRST_END, _LAST_END = -13, 4
"""The classic buckets end at the powers of 2 between these: from 0.12 ms to 16 s."""
_SHORTEST: Final = 2.0**-30


class Calls(Collector):
    """Calls by method, code and reason, and how long the answered ones took. Can be used by several threads."""

    def __init__(self) -> None:
        """Nothing was called."""
        self._lock = threading.Lock()
        self._noted: dict[str, deque[float]] = {}
        self._times: dict[str, Counts[int]] = {}
        self._seconds: dict[str, float] = {}
        self._refused = Counts[tuple[str, str, str]]()

    def answered(self, method: str) -> Callable[[float], None]:
        """What to tell the seconds of each answered call of the method."""
        with self._lock:
            noted = self._noted.setdefault(method, deque())
            self._times.setdefault(method, Counts())
            self._seconds.setdefault(method, 0.0)
            # What is alerted on is there before it happens: a counter that begins at 1 has never grown.
            self._refused[method, _FAULT, _FAULT] += 0
        return noted.append

    def refused(self, method: str, code: str, reason: str) -> None:
        """A call was answered with an error."""
        with self._lock:
            self._refused[method, code, reason] += 1

    def settle(self) -> None:
        """Count what was noted."""
        with self._lock:
            for method, noted in self._noted.items():
                taken = [max(noted.popleft(), _SHORTEST) for _ in range(len(noted))]
                if taken:
                    self._seconds[method] += math.fsum(taken)
                    self._times[method].update(math.ceil(math.log2(seconds) * 2**_SCHEMA) for seconds in taken)

    def collect(self) -> Iterator[Metric]:
        """Both metrics as they are now."""
        self.settle()
        calls = CounterMetricFamily(
            "policy_calls", "Calls by method, code and reason; OK has none.", labels=["method", "code", "reason"]
        )
        times = HistogramMetricFamily(_TIMES, "Answered calls by what they took.", labels=["method"])
        with self._lock:
            for method, counts in sorted(self._times.items()):
                calls.add_metric([method, "OK", ""], counts.total())
                if counts:
                    times.add_metric([method], list(_classic(counts)), self._seconds[method])
            for labels, count in sorted(self._refused.items()):
                calls.add_metric(labels, count)
        yield calls
        yield times

    def native(self) -> list[Sample]:
        """The times once more, for a reader that takes native histograms."""
        with self._lock:
            return [
                _native(_TIMES, method, counts, self._seconds[method])
                for method, counts in sorted(self._times.items())
                if counts
            ]

    def describe(self) -> Iterable[Metric]:
        """Their names, without counting."""
        return [CounterMetricFamily("policy_calls", ""), HistogramMetricFamily(_TIMES, "")]


def _classic(counts: Counts[int]) -> Iterator[tuple[str, float]]:
    for power in range(_FIRST_END, _LAST_END + 1):
        end = power << _SCHEMA
        yield str(2.0**power), sum(count for bucket, count in counts.items() if bucket <= end)
    yield "+Inf", counts.total()


class WithNative(Collector):
    """All that a registry has, with native histograms; the older formats know none, and would tell them as numbers."""

    def __init__(self, registry: Collector, calls: Calls) -> None:
        """``calls`` are in the registry."""
        self._registry, self._calls = registry, calls

    def collect(self) -> Iterator[Metric]:
        """As a registry does."""
        for family in self._registry.collect():
            if family.name == _TIMES:
                family.samples += self._calls.native()
            yield family


def _native(name: str, method: str, counts: Counts[int], seconds: float) -> Sample:
    """What is exposed to whoever asks for OpenMetrics 2.0."""
    spans, deltas, before, end = list[BucketSpan](), list[int](), 0, 0
    for bucket in sorted(counts):
        if spans and bucket == end:
            spans[-1] = BucketSpan(spans[-1].offset, spans[-1].length + 1)
        else:
            spans.append(BucketSpan(bucket - end, 1))
        deltas.append(counts[bucket] - before)
        before, end = counts[bucket], bucket + 1
    value = NativeHistogram(counts.total(), seconds, _SCHEMA, _SHORTEST, 0, pos_spans=spans, pos_deltas=deltas)
    return Sample(name, {"method": method}, 0.0, native_histogram=value)
