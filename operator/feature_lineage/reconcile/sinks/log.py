"""Domain events as lines of the log: one for each operation that starts or ends, for each verdict
that changes and for each permission that is used.

A line holds ``name=value`` pairs to search for, and no text of a repo, a report or an annotation.
"""

import logging

from feature_lineage.decide.events import (
    AccessLost,
    DomainEvent,
    OperationEnded,
    OperationEvent,
    OperationStarted,
    OperationWithdrawn,
    PermissionUsed,
    VerdictChanged,
)

_log = logging.getLogger(__name__)


class LogLines:
    """A sink."""

    async def emit(self, event: DomainEvent) -> None:
        if (line := line_of(event)) is not None:
            _log.info("%s", line)


def line_of(event: DomainEvent) -> str | None:
    """The line of a domain event; None if the event is not logged."""
    match event:
        case OperationStarted():
            return f"operation started {_operation(event)} revision={event.revision or '-'}"
        case OperationEnded():
            return (
                f"operation ended {_operation(event)} result={event.result} "
                f"reason={event.reason or '-'} attempts={event.attempts}"
            )
        case OperationWithdrawn():
            return f"operation withdrawn {_operation(event)} ({event.reason})"
        case PermissionUsed():
            return f"permission used {_operation(event)} permission={event.permission}"
        case AccessLost():
            return f"access lost resource={event.key} reason={event.reason}"
        case VerdictChanged():
            before = event.before or "-"
            return f"verdict changed resource={event.key} before={before} after={event.after}"
        case _:
            return None


def _operation(event: OperationEvent) -> str:
    return f"resource={event.key} operation={event.operation} kind={event.kind}"
