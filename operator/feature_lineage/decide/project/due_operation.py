"""An operation that is due, and which of those due in a lane starts first.

Deleting and applying come before all else. Behind them work waits for up to an hour: fresh ticks go
before backfill chunks, but what has waited longer than that ranks with the ticks. So neither does a
tick starve behind a long backfill, nor a backfill behind a schedule that is always due.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from feature_lineage.api.enums import OperationKind
from feature_lineage.api.project_status import FeatureStoreProjectStatus, OperationView
from feature_lineage.decide.observed import ObservedProject
from feature_lineage.operations.kinds import KINDS, Lane

PATIENCE: Final = timedelta(hours=1)
USUAL: Final[Mapping[Lane, OperationKind]] = {
    Lane.WRITING: OperationKind.MATERIALIZE,
    Lane.READING: OperationKind.OBSERVE,
}
"""The kind of each lane that anything ranks with which has waited for longer than `PATIENCE`."""


@dataclass(frozen=True)
class DueOperation:
    """An operation that is due.

    Attributes:
        since: since when it could have started: the tick, or the end of the chunk before.
        inputs_digest: of everything it depends on.
        revision: what it works on.
        window_start, window_end: of a materialization; no start means incremental.
        views: to materialize; empty means every materializable view.
    """

    kind: OperationKind
    since: datetime
    inputs_digest: str = ""
    revision: str = ""
    schedule: str | None = None
    backfill: str | None = None
    window_start: datetime | None = None
    window_end: datetime | None = None
    views: tuple[OperationView, ...] = ()


@dataclass(frozen=True)
class DecisionInput:
    """What a check goes by: what was observed, the status so far, and the inputs of an apply."""

    observed: ObservedProject
    status: FeatureStoreProjectStatus
    inputs_digest: str


def most_urgent(due: Iterable[DueOperation], now: datetime) -> DueOperation | None:
    """The operation that starts first; None where none is due."""
    return min(due, key=lambda each: urgency(each.kind, each.since, now), default=None)


def urgency(
    kind: OperationKind, since: datetime, now: datetime
) -> tuple[int, datetime, int, OperationKind]:
    """The rank of an operation in its lane; the smallest goes first.

    Args:
        since: since when it could have started.
    """
    rank, usual = KINDS[kind].priority, KINDS[USUAL[KINDS[kind].lane]].priority
    if rank > usual and now - since > PATIENCE:
        rank = usual
    return rank, since, KINDS[kind].priority, kind
