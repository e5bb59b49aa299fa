"""Converts domain events to Kubernetes Events, which `kubectl describe` and `describe` show."""

from feature_lineage.api.enums import Result, Verdict
from feature_lineage.decide.events import (
    AccessLost,
    AttemptFailed,
    DomainEvent,
    JobWarned,
    ModelsHurt,
    OperationEnded,
    SpecRefused,
    VerdictChanged,
)
from feature_lineage.decide.facts import Event
from feature_lineage.ports import Events
from feature_lineage.reasons import Reason


class KubernetesEvents:
    """A sink.

    Args:
        events: the writer of Events.
    """

    def __init__(self, events: Events) -> None:
        self._events = events

    async def emit(self, event: DomainEvent) -> None:
        if (made := event_of(event)) is not None:
            await self._events.emit(made)


def event_of(event: DomainEvent) -> Event | None:
    """The Event of a domain event; None if the status or another Event already shows it."""
    match event:
        case OperationEnded(superseded=False):
            warning = event.result in (Result.FAILED, Result.BLOCKED)
            return Event(
                event.key,
                "Warning" if warning else "Normal",
                event.reason or f"{event.kind}{event.result}",
                event.message or f"{event.kind} {event.operation} {event.result}",
            )
        case AttemptFailed():
            message = f"{event.operation}: {event.message}"
            return Event(event.key, "Warning", event.reason, message)
        case ModelsHurt():
            return Event(event.key, "Warning", Reason.MODELS_HURT, event.message)
        case JobWarned():
            return Event(event.key, "Warning", Reason.WARNING, event.message)
        case SpecRefused() | AccessLost():
            return Event(event.key, "Warning", event.reason, event.message)
        case VerdictChanged():
            warning = event.after in (Verdict.BROKEN, Verdict.AMBIGUOUS)
            return Event(
                event.key,
                "Warning" if warning else "Normal",
                str(event.after),
                event.message,
            )
        case _:
            return None
