"""A plan: the changes of a revision to the registry, their impacts on models, and a digest.

Users name the digest in an override. It covers the changed content and the impacts, so a plan with
other content or one more affected model has another digest.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from feature_lineage.api.enums import PlanVerdict as PlanVerdict
from feature_lineage.features.delta import delta
from feature_lineage.features.diff import Change
from feature_lineage.features.snapshot import VIEW_KINDS, JsonObject, RegistrySnapshot, digest_of
from feature_lineage.operations.protection import Impact
from feature_lineage.untrusted import Many, Name

SHORT: Final = 12
_NAMED: Final = re.compile(rf"[0-9a-f]{{{SHORT},64}}")


@dataclass(frozen=True)
class Plan:
    """The effects of an apply.

    Attributes:
        digest: identity of the changes and impacts; named by an override.
        verdict: Clean (no impact), Allowed (impacts, allowed by policy or override), Blocked.
        changes: all of them, sorted.
        impacts: protected versions and services with new problems, sorted.
        online_tables_dropped: feature views whose online table is dropped.
        unknown_models: versions of the project whose features are not known.
        adoption_deletes: objects of others that a first apply would delete, as ``kind/name``.
        reason: condition reason when blocked: ``Blocked``, ``AdoptionWouldDelete``,
            ``ProjectOwnedByOther``, ``RegistryEmpty``, ``RepoEmptied`` or ``GuardUnavailable``.
        let_through: what permits an allowed plan, as a sentence; "" for any other plan.
        named_by: protected versions that name the project, as ``model/version``, if the registry
            has no view of the project.
        emptied: that registry is the one that the resource applied to before.
        only_unknown_block: `unknown_models` block the plan, and none of its impacts does.
    """

    digest: Name
    verdict: PlanVerdict
    changes: Many[Change] = ()
    impacts: Many[Impact] = ()
    online_tables_dropped: Many[Name] = ()
    unknown_models: Many[Name] = ()
    adoption_deletes: Many[Name] = ()
    reason: str = ""
    let_through: str = ""
    named_by: Many[Name] = ()
    emptied: bool = False
    only_unknown_block: bool = False


def deletions(current: RegistrySnapshot, desired: RegistrySnapshot) -> tuple[str, ...]:
    """Deleted objects as ``kind/name``, without views replaced by a view of another kind."""
    return tuple(
        f"{item.kind}/{item.name}"
        for item in delta(current, desired)
        if item.now is None and not _replaced(item.kind, item.name, desired)
    )


def unpruned(current: RegistrySnapshot, desired: RegistrySnapshot) -> RegistrySnapshot:
    """`desired` plus the objects it would delete: the result without pruning."""
    objects = {kind: dict(named) for kind, named in desired.objects.items()}
    for kind, named in current.objects.items():
        for name, spec in named.items():
            if not _replaced(kind, name, desired):
                objects.setdefault(kind, {}).setdefault(name, spec)
    return RegistrySnapshot(
        desired.project, objects, {**_closures_of_kept(current, desired), **desired.closures}
    )


def plan_digest(
    current: RegistrySnapshot,
    desired: RegistrySnapshot,
    impacts: Iterable[Impact],
    unknown_models: Collection[str] = (),
    other_owner: str | None = None,
) -> str:
    """Identity of a plan: all changed content and all impacts.

    Args:
        unknown_models: versions that block because their features are unknown; empty if the
            policy allows them, so that a new version does not invalidate an override.
        other_owner: the owner from which the plan takes the project; None for none.
    """
    closures = {
        view: [current.closures[view], desired.closures[view]]
        for view in current.closures.keys() & desired.closures.keys()
        if current.closures[view] != desired.closures[view]
    }
    return digest_of(
        {
            "project": desired.project,
            "objects": [
                [item.kind, item.name, _content(item.was), _content(item.now)]
                for item in delta(current, desired)
            ],
            "closures": closures,
            "impacts": sorted(
                [
                    impact.model,
                    impact.version,
                    sorted(impact.aliases),
                    sorted([problem.feature, problem.kind] for problem in impact.problems),
                    *([impact.service] if impact.service else []),
                ]
                for impact in impacts
            ),
            "unknown": sorted(unknown_models),
            **({} if other_owner is None else {"owner": other_owner}),
        }
    )


def short(digest: str) -> str:
    """The first 12 digits, which an override may use."""
    return digest[:SHORT]


def names_plan(given: str, digest: str) -> bool:
    """Whether the user's text names this plan: its digest, or 12 or more hex digits of it."""
    given = given.strip().lower()
    return _NAMED.fullmatch(given) is not None and digest.startswith(given)


def _content(spec: JsonObject | None) -> str:
    return "" if spec is None else digest_of(spec)


def _replaced(kind: str, name: str, desired: RegistrySnapshot) -> bool:
    return kind in VIEW_KINDS and desired.view(name) is not None


def _closures_of_kept(current: RegistrySnapshot, desired: RegistrySnapshot) -> dict[str, str]:
    return {
        view: closure for view, closure in current.closures.items() if desired.view(view) is None
    }
