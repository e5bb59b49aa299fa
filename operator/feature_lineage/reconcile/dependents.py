"""Determines which other resources to reconcile after the reconcile of a project."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from feature_lineage.api import FeatureStoreProject
from feature_lineage.api.conditions import ProjectCondition, find_condition
from feature_lineage.decide.facts import Key, key_of


class References(Protocol):
    """The references between the resources of a host."""

    def projects(self) -> Iterable[FeatureStoreProject]: ...

    def models_of(self, project: Key) -> list[Key]:
        """The TrainedModels that refer to a project."""
        ...


@dataclass(frozen=True, slots=True)
class _Read:
    """The part of a project's status that other resources read.

    Attributes:
        by_models: by its TrainedModels; an outage of MLflow is a condition.
        by_competitors: by competing projects, which wait for the older one to name its registry.
    """

    by_models: tuple[object, ...]
    by_competitors: tuple[object, ...]

    @classmethod
    def of(cls, project: FeatureStoreProject) -> "_Read":
        status = project.status
        facts = find_condition(status.conditions, ProjectCondition.FACTS_CURRENT)
        return cls(
            (status.registry, status.applied, status.feature_views, facts),
            (status.registry, status.last_apply),
        )


class Dependents:
    """Compares a project with the state for which its dependents were last enqueued.

    The status before the reconcile is not enough: a reconcile that failed after its first write has
    changed the status and enqueued no dependents.
    """

    def __init__(self, references: References) -> None:
        self._references = references
        self._enqueued_for: dict[Key, _Read] = {}

    def forget(self, project: Key) -> None:
        """The project is deleted."""
        self._enqueued_for.pop(project, None)

    def after(self, before: FeatureStoreProject, after: FeatureStoreProject) -> list[Key]:
        """The resources to enqueue after a reconcile.

        Args:
            before: the project as the reconcile found it.
            after: the project with its status as written.
        """
        key, read = key_of(after), _Read.of(after)
        known = self._enqueued_for.get(key)
        self._enqueued_for[key] = read
        found: list[Key] = []
        if known is None or known.by_models != read.by_models:
            found += self._references.models_of(key)
        if (known or _Read.of(before)).by_competitors != read.by_competitors:
            found += self._competing(key, after.spec.project)
        return found

    def _competing(self, key: Key, project: str) -> list[Key]:
        """The other resources of the same Feast project."""
        same = (each for each in self._references.projects() if each.spec.project == project)
        return [other for other in map(key_of, same) if other != key]
