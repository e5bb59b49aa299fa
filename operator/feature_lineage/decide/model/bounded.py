"""Keeps the status of a model within its size: see `decide.budget`. Totals count what is cut."""

from feature_lineage.api.model_status import ResolvedStatus, TrainedModelStatus
from feature_lineage.decide import budget
from feature_lineage.decide.budget import first_that_fit, total_of, with_short_texts


def bounded(status: TrainedModelStatus, before: TrainedModelStatus) -> TrainedModelStatus:
    """The status with at most `MAX_STATUS` bytes.

    Args:
        before: the stored status; one without a change stays as it is.
    """
    if status == before:
        return before
    status = with_short_texts(status)
    return status.model_copy(
        update={
            "resolved": _resolved(status.resolved) if status.resolved else None,
        }
    )


def _resolved(resolved: ResolvedStatus) -> ResolvedStatus:
    aliases = first_that_fit(resolved.aliases, budget.ALIASES)
    total = resolved.aliases_total or total_of(resolved.aliases, aliases)
    return resolved.model_copy(update={"aliases": aliases, "aliases_total": total})
