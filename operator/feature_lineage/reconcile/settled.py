"""Passes over a model that had nothing to do: the next one is spared while that holds."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from feature_lineage.api.model_status import ModelFreshnessStatus
from feature_lineage.reconcile.gather_model import Glance
from feature_lineage.reconcile.memory import LOOK_AGAIN

WITH_OBJECTIVE: Final = timedelta(minutes=1)
"""Where an age counts, time alone changes more than the one moment that the status tells."""


@dataclass(frozen=True, slots=True)
class Settled:
    """A quiet pass.

    Attributes:
        glance: all it depended on.
        until: when the time alone may lead to something else.
    """

    glance: Glance
    until: datetime

    def holds(self, glance: Glance, now: datetime) -> bool:
        """Whether a pass now would be as quiet."""
        return now < self.until and self.glance.same(glance)


def settled_until(freshness: ModelFreshnessStatus | None, now: datetime) -> datetime:
    """When a quiet pass is worth repeating though nothing has changed."""
    if freshness is None or freshness.max_age is None:
        return now + LOOK_AGAIN
    until = now + WITH_OBJECTIVE
    if freshness.fresh and freshness.materialized_until is not None:
        return min(until, freshness.materialized_until + freshness.max_age)
    return until
