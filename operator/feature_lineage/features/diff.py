"""The semantic difference of two registry snapshots.

Feast's own diff reports an update for every materialized view (it compares timestamps embedded in
sources), so decisions are made on this one.
"""

from dataclasses import dataclass
from enum import StrEnum


class ChangeClass(StrEnum):
    """What kind of change it is; the word users see in plans and statuses."""

    CREATED = "Created"
    UPDATED = "Updated"
    DELETED = "Deleted"
    TYPE_CHANGED = "TypeChanged"
    JOIN_KEYS_CHANGED = "JoinKeysChanged"
    SOURCE_CHANGED = "SourceChanged"
    TRANSFORMATION_CHANGED = "TransformationChanged"
    TTL_CHANGED = "TTLChanged"
    VERSION_PINNED = "VersionPinned"
    MOVED = "Moved"


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """One change of one object, or of one feature in it.

    Attributes:
        kind: section of the snapshot, such as ``feature_view``.
        name: the object.
        change: its class.
        feature: the feature (or service member) concerned, "" for the object as a whole.
        was: short human text of the old state, "" when there was none.
        now: short human text of the new state, "" when there is none.
    """

    kind: str
    name: str
    change: ChangeClass
    feature: str = ""
    was: str = ""
    now: str = ""
