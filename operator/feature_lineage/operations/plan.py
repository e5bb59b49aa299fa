"""A plan: what the newest revision would do to the registry, and to whom."""

from dataclasses import dataclass
from enum import StrEnum

from feature_lineage.features.diff import Change
from feature_lineage.operations.protection import Impact


class PlanVerdict(StrEnum):
    CLEAN = "Clean"
    ALLOWED = "Allowed"
    BLOCKED = "Blocked"


@dataclass(frozen=True)
class Plan:
    """What an apply would do.

    Attributes:
        digest: identity of these changes with these impacts: what an override names.
        verdict: Clean (no impact), Allowed (impacts, let through by policy or override), Blocked.
        changes: all of them, sorted.
        impacts: protected versions made worse, sorted.
        online_tables_dropped: feature views whose online table goes.
        unknown_models: versions of the project whose features are not known.
        adoption_deletes: objects somebody else applied that a first apply would delete.
        reason: condition reason when blocked: ``Blocked`` or ``AdoptionWouldDelete``.
    """

    digest: str
    verdict: PlanVerdict
    changes: tuple[Change, ...] = ()
    impacts: tuple[Impact, ...] = ()
    online_tables_dropped: tuple[str, ...] = ()
    unknown_models: tuple[str, ...] = ()
    adoption_deletes: tuple[str, ...] = ()
    reason: str = ""
