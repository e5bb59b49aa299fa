"""Does the model still find its features as they were? The verdicts of the API, exactly.

Broken: serving fails or lies. Changed: it runs on something else than it was trained on.
Verified: neither, against the definitions at training time. Unchanged: neither, since first sight.
"""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    VERIFIED = "Verified"
    UNCHANGED = "Unchanged"
    CHANGED = "Changed"
    BROKEN = "Broken"
    AMBIGUOUS = "Ambiguous"
    UNKNOWN = "Unknown"


class ProblemKind(StrEnum):
    """Why a feature is not as it was."""

    FEATURE_GONE = "FeatureGone"
    VIEW_GONE = "ViewGone"
    SERVICE_GONE = "ServiceGone"
    TYPE_CHANGED = "TypeChanged"
    JOIN_KEYS_CHANGED = "JoinKeysChanged"
    SOURCE_CHANGED = "SourceChanged"
    TRANSFORMATION_CHANGED = "TransformationChanged"
    TTL_CHANGED = "TTLChanged"
    VERSION_CHANGED = "VersionChanged"


BREAKING = frozenset(
    {
        ProblemKind.FEATURE_GONE,
        ProblemKind.VIEW_GONE,
        ProblemKind.SERVICE_GONE,
        ProblemKind.TYPE_CHANGED,
        ProblemKind.JOIN_KEYS_CHANGED,
    }
)


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One difference between what a model was trained on and what there is.

    Attributes:
        feature: the reference concerned; the service's name for `SERVICE_GONE`.
        kind: what differs.
        was: short human text of the baseline.
        now: short human text of the present, "" when gone.
    """

    feature: str
    kind: ProblemKind
    was: str = ""
    now: str = ""
