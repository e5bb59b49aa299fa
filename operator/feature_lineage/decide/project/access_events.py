"""Events for a source or an MLflow server that a person has to repair, from the first day on."""

from collections.abc import Iterator
from typing import Final

from feature_lineage.api import Condition
from feature_lineage.api.conditions import ProjectCondition as C
from feature_lineage.api.conditions import find_condition
from feature_lineage.api.project_status import FeatureStoreProjectStatus
from feature_lineage.decide.events import AccessLost
from feature_lineage.decide.facts import key_of
from feature_lineage.decide.observed import Failure, ObservedProject
from feature_lineage.reasons import Reason

REPORTED: Final = frozenset(
    {
        *(Reason.AUTH_FAILED, Reason.SECRET_NOT_FOUND, Reason.SECRET_FORBIDDEN),
        *(Reason.HOST_NOT_ALLOWED, Reason.REF_NOT_FOUND),
    }
)
"""An outage is no Event: it ends without a person, and every project would have one."""


def access_lost(
    observed: ObservedProject, status: FeatureStoreProjectStatus
) -> Iterator[AccessLost]:
    """One event when a failure begins, or when its cause changes.

    Args:
        status: the new status, with its conditions.
    """
    failures: dict[C, object] = {C.SOURCE_READY: observed.source, C.FACTS_CURRENT: None}
    if observed.models is not None:
        failures[C.FACTS_CURRENT] = observed.models.failure
    for type_, failure in failures.items():
        if not isinstance(failure, Failure) or failure.reason not in REPORTED:
            continue
        before = find_condition(observed.resource.status.conditions, type_)
        after = find_condition(status.conditions, type_)
        if before is None or after is None or _what(before) != _what(after):
            yield AccessLost(key_of(observed.resource), failure.reason, failure.message)


def _what(condition: Condition) -> tuple[str, str]:
    return condition.status, condition.reason
