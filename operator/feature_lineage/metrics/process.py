"""Metrics of the cluster host's process, computed at scrape time."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from feature_lineage.metrics.catalogue import HOST, MetricDefinition


class ProcessMetrics:
    """Collects the metrics that `HOST` defines.

    Args:
        values: by name of the metric; each is called at each scrape, in the scrape's thread.
    """

    def __init__(self, values: Mapping[str, Callable[[], float]]) -> None:
        assert set(values) == {definition.name for definition in HOST}
        self._values = values

    def describe(self) -> Iterable[Metric]:
        return [_family(definition, ()) for definition in HOST]

    def collect(self) -> Iterator[Metric]:
        for definition in HOST:
            yield _family(definition, (float(self._values[definition.name]()),))


def _family(definition: MetricDefinition, values: tuple[float, ...]) -> Metric:
    kind = CounterMetricFamily if definition.type == "counter" else GaugeMetricFamily
    made = kind(definition.name, definition.help)
    for value in values:
        made.add_metric((), value)
    return made
