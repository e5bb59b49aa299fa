"""Metric families whose samples are made while they are written, and their text in slices.

Ten thousand models have two hundred thousand series. Held at once they would be half of the
operator's memory, so a family computes its samples anew each time it is read, and `exposition`
turns one slice after another into text.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final, cast

from prometheus_client import generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from feature_lineage.metrics.catalogue import Definition

MAX_LABEL: Final = 256
SLICE: Final = 2000

Row = tuple[tuple[str, ...], float]
"""Label values in the order of the definition, and the value."""


def label(value: str) -> str:
    """A label value fit for text: names come from registries that anybody may fill.

    The library escapes quotes and line ends; here lone surrogates, which no UTF-8 can spell, become
    escapes, and what is too long is cut and told apart by a digest, so that no two series collide.
    """
    if value.isascii() and len(value) <= MAX_LABEL:
        return value
    clean = value.encode("utf-8", "backslashreplace").decode()
    if len(clean) <= MAX_LABEL:
        return clean
    digest = hashlib.sha256(clean.encode()).hexdigest()[:8]
    return f"{clean[: MAX_LABEL - 9]}~{digest}"


class _Samples:
    """The samples of one family, computed anew by each reading."""

    def __init__(self, definition: Definition, rows: Callable[[], Iterator[Row]]) -> None:
        self._definition = definition
        self._rows = rows

    def __iter__(self) -> Iterator[Sample]:
        name, labels = self._definition.name, self._definition.labels
        for values, value in self._rows():
            named = zip(labels, map(label, values), strict=True)
            yield Sample(name, dict(named), value)


def family(definition: Definition, rows: Callable[[], Iterator[Row]] = lambda: iter(())) -> Metric:
    """A family that is never held as a whole; without `rows`, its name and help only."""
    metric = Metric(definition.name, definition.help, definition.type)
    # The library only ever iterates over samples; its annotation asks for a list.
    metric.samples = cast("list[Sample]", _Samples(definition, rows))
    return metric


class _Only:
    """One family, in the shape of a registry."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterable[Metric]:
        return [self._metric]


def exposition(registry: Collector) -> Iterator[bytes]:
    """The registry in Prometheus' text format, piece by piece.

    ``_created`` series, one more for every counter and histogram, are left out: Prometheus finds
    resets without them.
    """
    for metric in registry.collect():
        created = f"{metric.name}_created"
        samples = (sample for sample in metric.samples if sample.name != created)
        head = True
        while (batch := list(islice(samples, SLICE))) or head:
            part = Metric(metric.name, metric.documentation, metric.type)
            part.samples = batch
            text = generate_latest(_Only(part))
            # HELP and TYPE stand once, before the first sample of a family.
            yield text if head else text.split(b"\n", 2)[2]
            head = False
