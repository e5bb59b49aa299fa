"""The list of the sinks of domain events; a new sink is a file in this package and a line here."""

import logging
from collections.abc import Iterable

from feature_lineage.decide.events import DomainEvent
from feature_lineage.errors import FeatureLineageError, StateUnusable
from feature_lineage.ports import Ports, Sink
from feature_lineage.reconcile.sinks.kubernetes_events import KubernetesEvents
from feature_lineage.reconcile.sinks.log import LogLines

_log = logging.getLogger(__name__)


def registered(ports: Ports) -> tuple[Sink, ...]:
    """Every sink, over the ports of a host."""
    return (KubernetesEvents(ports.events), LogLines())


async def emit(sinks: Iterable[Sink], events: Iterable[DomainEvent]) -> int:
    """Give each event to each sink; a failed sink affects neither the reconcile nor other sinks.

    Returns:
        The number of events that did not reach a sink.

    Raises:
        StateUnusable: the state folder cannot be written any more.
    """
    sinks = tuple(sinks)
    errors = 0
    for event in events:
        for sink in sinks:
            try:
                await sink.emit(event)
            except StateUnusable:
                raise
            except Exception as error:  # noqa: BLE001 - the boundary: a sink is no part of it
                errors += 1
                _log_error(sink, event, error)
    return errors


def _log_error(sink: Sink, event: DomainEvent, error: Exception) -> None:
    what = f"{type(event).__name__} of {event.key} did not reach {type(sink).__name__}"
    if isinstance(error, FeatureLineageError):
        _log.warning("%s: %s", what, error.message)
    else:
        _log.error("%s because of a bug; please report it", what, exc_info=error)
