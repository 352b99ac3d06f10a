"""Tallies: series of Prometheus that are counted with plain numbers and put together when scraped.

The client library takes a lock and walks several layers for every observation; for a batch of a few
decisions that was a tenth of the whole cost. One thread counts here with plain numbers, any thread
may scrape: what it sees may lack the batch that is being counted just then.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from time import time
from typing import Final, TypeAlias, final

from prometheus_client import CollectorRegistry, Counter, Histogram, Metric

#: What is counted, in numbers: outcome, reason, door.
Kind: TypeAlias = "tuple[int, int, int]"


@final
class Tally(Counter):
    """A counter by kind. Count with `counts[kind] = counts.get(kind, 0) + 1`, from one thread."""

    def __init__(
        self,
        name: str,
        what: str,
        labels: Sequence[str],
        labels_of: Callable[[Kind], tuple[str, ...]],
        registry: CollectorRegistry,
    ) -> None:
        """Begin at zero; `labels_of` gives the values of `labels` for a kind."""
        self.counts: Final[dict[Kind, int]] = {}
        self._labels_of: Final = labels_of
        self._began: Final = time()
        super().__init__(name, what, labels, registry=registry)

    def collect(self) -> Iterable[Metric]:
        """The series as they stand."""
        (family,) = self.describe()
        # One step for the interpreter, so a kind that is counted first just now does no harm.
        counted = list(self.counts.items())
        for kind, count in counted:
            labels = dict(zip(self._labelnames, self._labels_of(kind), strict=True))
            family.add_sample(f"{family.name}_total", labels, float(count))
            family.add_sample(f"{family.name}_created", labels, self._began)
        yield family


@final
class Steps(Histogram):
    """A histogram. Observe from one thread."""

    def __init__(
        self, name: str, what: str, bounds: Sequence[float], registry: CollectorRegistry
    ) -> None:
        """Begin empty; `bounds` are the upper ends of the buckets, ascending."""
        self._bounds: Final = tuple(bounds)
        self._counts: Final = [0] * (len(bounds) + 1)
        self._total = 0.0
        self._began: Final = time()
        super().__init__(name, what, buckets=bounds, registry=registry)

    def observe(self, amount: float, exemplar: object = None) -> None:
        """Count one value; exemplars are not kept."""
        self._counts[bisect_left(self._bounds, amount)] += 1
        self._total += amount

    def collect(self) -> Iterable[Metric]:
        """The series as they stand."""
        (family,) = self.describe()
        sums = list(accumulate(list(self._counts)))
        for bound, count in zip((*self._bounds, float("inf")), sums, strict=True):
            shown = "+Inf" if bound == float("inf") else str(float(bound))
            family.add_sample(f"{family.name}_bucket", {"le": shown}, float(count))
        family.add_sample(f"{family.name}_count", {}, float(sums[-1]))
        family.add_sample(f"{family.name}_sum", {}, self._total)
        family.add_sample(f"{family.name}_created", {}, self._began)
        yield family
