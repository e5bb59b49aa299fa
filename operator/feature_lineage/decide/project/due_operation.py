"""A due operation, and the order of the due operations in a lane.

Deletions and applies come first. Then ticks come before backfill chunks, unless a chunk has waited
for more than an hour: then it has the rank of a tick. So a long backfill does not delay ticks
without end, and a schedule that is always due does not delay a backfill without end.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from feature_lineage.api.enums import OperationKind
from feature_lineage.api.operation_status import OperationView
from feature_lineage.api.project_status import FeatureStoreProjectStatus
from feature_lineage.decide.observed import ObservedProject
from feature_lineage.operations.kinds import KINDS, Lane

PATIENCE: Final = timedelta(hours=1)
RAISED_TO: Final[Mapping[Lane, OperationKind]] = {
    Lane.WRITING: OperationKind.MATERIALIZE,
    Lane.READING: OperationKind.OBSERVE,
}
"""The kind in each lane whose rank any operation gets that has waited longer than `PATIENCE`."""


@dataclass(frozen=True)
class DueOperation:
    """An operation that is due.

    Attributes:
        since: the time from which it could have started: the tick, or the end of the previous
            chunk.
        inputs_digest: digest of all its inputs.
        revision: its revision.
        window_start, window_end: window of a materialization; no start means incremental.
        views: views to materialize; empty means every materializable view.
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
    """The input of a check: the observation, the status so far, and the inputs of an apply."""

    observed: ObservedProject
    status: FeatureStoreProjectStatus
    inputs_digest: str


def most_urgent(due: Iterable[DueOperation], now: datetime) -> DueOperation | None:
    """The operation that starts first; None if none is due."""
    return min(due, key=lambda each: urgency(each.kind, each.since, now), default=None)


def urgency(
    kind: OperationKind, since: datetime, now: datetime
) -> tuple[int, datetime, int, OperationKind]:
    """The rank of an operation in its lane; the smallest goes first.

    Args:
        since: the time from which it could have started.
    """
    rank, raised = KINDS[kind].priority, KINDS[RAISED_TO[KINDS[kind].lane]].priority
    if rank > raised and now - since > PATIENCE:
        rank = raised
    return rank, since, KINDS[kind].priority, kind
