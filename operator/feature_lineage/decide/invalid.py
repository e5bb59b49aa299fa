"""The conditions of an object that the API server accepted and this version cannot parse."""

from datetime import datetime

from feature_lineage.api import Condition
from feature_lineage.api.conditions import ProjectCondition as C
from feature_lineage.decide.condition_set import ConditionSet
from feature_lineage.reasons import Reason


def invalid_conditions(
    current: tuple[Condition, ...], problem: str, now: datetime, generation: int | None
) -> tuple[Condition, ...]:
    """Set Ready to False and Stalled to True, with the same reason for a project and a model."""
    conditions = ConditionSet(current, now, generation)
    conditions.false(C.READY, Reason.INVALID_MANIFEST, problem)
    conditions.only_while(C.STALLED, True, Reason.INVALID_MANIFEST, problem)
    conditions.only_while(C.RECONCILING, False)
    return conditions.values
