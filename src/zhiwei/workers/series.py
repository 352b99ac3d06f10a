"""Series: the metrics of all workers, each with its number, as any one of them shows them.

A scrape of the one port meets whichever worker has time. Would it show its own series only, every
counter would jump between the workers' and look as if it had been reset, so each shows them all.
They are not added up: a worker that is started again counts from zero, and only on a series of its
own does Prometheus see that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, final

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from zhiwei.process_link.wire import metrics_of

#: The label that tells workers apart.
LABEL: Final = "worker"


@final
class AllSeries(Collector):
    """What `/metrics` of a worker shows."""

    def __init__(
        self, number: int, own: CollectorRegistry, ask: Callable[[], list[Any] | None]
    ) -> None:
        """Make it.

        Args:
            number: this worker's.
            own: this worker's series, shown alone where the supervisor does not tell.
            ask: what the supervisor tells: `[number, series]` of each worker (0 = its own
                series, which get no label); blocks a little, None where it does not tell.
        """
        self._number: Final = number
        self._own: Final = own
        self._ask: Final = ask

    def describe(self) -> Iterable[Metric]:
        """The names by which pages ask for some of them."""
        return self._own.collect()

    def collect(self) -> Iterable[Metric]:
        """The series as they stand."""
        told = self._ask()
        if told is None:
            return merged([(self._number, self._own.collect())])
        return merged([(number, metrics_of(rows)) for number, rows in told])


def shown_by(series: Collector) -> CollectorRegistry:
    """A registry that holds nothing else."""
    registry = CollectorRegistry()
    registry.register(series)
    return registry


def merged(parts: Iterable[tuple[int, Iterable[Metric]]]) -> list[Metric]:
    """One family for each name, with the samples of all workers, each with its label."""
    families: dict[str, Metric] = {}
    for number, metrics in parts:
        for metric in metrics:
            family = families.setdefault(
                metric.name, Metric(metric.name, metric.documentation, metric.type)
            )
            more = {LABEL: str(number)} if number else {}
            family.samples.extend(
                sample._replace(labels={**sample.labels, **more}) for sample in metric.samples
            )
    return list(families.values())


def supervisor_series(wanted: int, up: int, restarts: Iterable[tuple[int, int]]) -> list[Metric]:
    """What the supervisor has to tell: workers that should be and are there, restarts of each."""
    again = CounterMetricFamily(
        "zhiwei_worker_restarts",
        "How often a worker died and was started again.",
        labels=(LABEL,),
    )
    for number, count in restarts:
        again.add_metric((str(number),), count)
    return [
        GaugeMetricFamily("zhiwei_workers", "Workers that should be there (`--workers`).", wanted),
        GaugeMetricFamily("zhiwei_workers_up", "Workers that take work now.", up),
        again,
    ]
