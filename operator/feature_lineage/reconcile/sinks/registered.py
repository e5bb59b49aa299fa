"""The sinks of domain events; a new one is a file beside this one and a line here."""

import logging
from collections.abc import Iterable

from feature_lineage.decide.events import DomainEvent
from feature_lineage.errors import StateUnusable
from feature_lineage.ports import Ports, Sink
from feature_lineage.reconcile.sinks.kubernetes_events import KubernetesEvents
from feature_lineage.reconcile.sinks.log import LogLines

_log = logging.getLogger(__name__)


def registered(ports: Ports) -> tuple[Sink, ...]:
    """Every sink, over the ports of a host."""
    return (KubernetesEvents(ports.events), LogLines())


async def emit(sinks: Iterable[Sink], events: Iterable[DomainEvent]) -> None:
    """Give each event to each sink; a sink that fails holds up neither the reconcile nor others.

    Raises:
        StateUnusable: nothing can be kept on this machine any more.
    """
    sinks = tuple(sinks)
    for event in events:
        for sink in sinks:
            try:
                await sink.emit(event)
            except StateUnusable:
                raise
            except Exception as error:  # noqa: BLE001 - the boundary: a sink is no part of it
                name = type(event).__name__
                _log.warning("%s of %s did not reach a sink: %s", name, event.key, error)
