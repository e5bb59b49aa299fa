"""Events for refused access, which a person has to repair: one when it begins, from the first day
on, and one for each further cause.
"""

from collections.abc import Iterator
from typing import Final

from feature_lineage.api import Condition
from feature_lineage.api.conditions import ProjectCondition as C
from feature_lineage.api.conditions import find_condition
from feature_lineage.api.project_status import FeatureStoreProjectStatus
from feature_lineage.decide.events import AccessLost
from feature_lineage.decide.facts import Key, key_of
from feature_lineage.decide.observed import Failure, ObservedProject
from feature_lineage.reasons import Reason

REPORTED: Final = frozenset(
    {
        *(Reason.AUTH_FAILED, Reason.SECRET_NOT_FOUND, Reason.SECRET_FORBIDDEN),
        *(Reason.HOST_NOT_ALLOWED, Reason.REF_NOT_FOUND, Reason.ACCESS_NOT_GRANTED),
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
        known = before is not None and after is not None and _what(before) == _what(after)
        # FactsCurrent has one reason for all failures; the cause is in its message.
        if known and type_ is C.FACTS_CURRENT and before is not None:
            known = cause(failure) in before.message
        if not known:
            yield AccessLost(key_of(observed.resource), failure.reason, failure.message)


def write_refused(
    key: Key, failure: Failure, before: Condition | None, after: Condition | None
) -> Iterator[AccessLost]:
    """One event when MLflow or the platform begins to refuse a write, or for another reason.

    Args:
        before: the condition about the writes, before the reconcile.
        after: the condition with this failure.
    """
    if failure.reason not in REPORTED:
        return
    if before is None or after is None or _what(before) != _what(after):
        yield AccessLost(key, failure.reason, failure.message)


def cause(failure: Failure) -> str:
    """The cause of a failure in the message of a condition with another reason."""
    return f": {failure.reason}: "


def _what(condition: Condition) -> tuple[str, str]:
    return condition.status, condition.reason
