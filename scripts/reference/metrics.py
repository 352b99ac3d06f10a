"""`metrics.md`: what Prometheus can scrape."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase
from scripts.reference.markdown import code, codes, page, table
from scripts.reference.openapi import bare_app

from zhiwei.messaging_metrics import MessagingMetrics
from zhiwei.messaging_process.house_side import MessagingSeries
from zhiwei.metrics import Metrics
from zhiwei.workers.series import supervisor_series

INTRODUCTION = """\
`GET /metrics` of the HTTP door gives these series in the Prometheus text format, without a key:
put the door where only your monitoring reaches it. No label holds anything of a card, a person or
a merchant, so the number of series is bounded. Which of them to watch:
[monitor](../operating/monitoring.md).

A counter also has a series `…_created`, the instant since which it counts; a histogram has
`…_bucket`, `…_count` and `…_sum`. Times are in seconds.

Under `zhiwei serve --workers` every series but the supervisor's own has one more label, `worker`;
any worker shows the series of all."""

_KINDS: tuple[tuple[type[MetricWrapperBase], str], ...] = (
    (Counter, "counter"),
    (Gauge, "gauge"),
    (Histogram, "histogram"),
)


def metrics_page() -> str:
    """The page."""
    rows = ((code(name), kind, codes(labels), about) for name, kind, labels, about in series())
    return page("Metrics 监控指标", INTRODUCTION, table(("series", "kind", "labels", "what"), rows))


def series() -> list[tuple[str, str, Iterable[str], str]]:
    """Name, kind, labels and words of every series, as it is scraped."""
    registry = Metrics().registry
    MessagingMetrics(registry)
    # The HTTP door adds its own when it is built.
    bare_app(registry).build_middleware_stack()
    found = []
    collectors = dict.fromkeys(registry._collector_to_names)  # noqa: SLF001 - offers no other way
    for collector in collectors:
        assert isinstance(collector, MetricWrapperBase)
        kind = next(word for known, word in _KINDS if isinstance(collector, known))
        (family,) = collector.describe()
        name = family.name + ("_total" if kind == "counter" else "")
        found.append((name, kind, collector._labelnames, family.documentation))  # noqa: SLF001 - the same
    for family in MessagingSeries(_NoProcess()).collect():
        ending = "_total" if family.type == "counter" else ""
        found.append((family.name + ending, family.type, (), family.documentation))
    for family in supervisor_series(0, 0, ((1, 0),)):
        ending = "_total" if family.type == "counter" else ""
        labels = family.samples[0].labels
        found.append((family.name + ending, family.type, labels, family.documentation))
    return sorted(found)


class _NoProcess:
    """Stands for a messaging process that tells nothing."""

    is_up = False
    restarts = 0

    def metrics(self) -> None:
        """Nothing."""
