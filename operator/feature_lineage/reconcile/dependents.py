"""Determines which models to reconcile after the reconcile of their project."""

from typing import Protocol

from feature_lineage.api import FeatureStoreProject
from feature_lineage.api.conditions import ProjectCondition, find_condition
from feature_lineage.api.enums import OperationKind, Result
from feature_lineage.decide.facts import Key, key_of


class References(Protocol):
    """The references between the resources of a host."""

    def models_of(self, project: Key) -> list[Key]:
        """The TrainedModels that refer to a project."""
        ...


def _read_by_models(project: FeatureStoreProject) -> tuple[object, ...]:
    """The part of a project's status that its TrainedModels read; an outage is a condition."""
    status = project.status
    facts = find_condition(status.conditions, ProjectCondition.FACTS_CURRENT)
    tried = status.newest(OperationKind.PROBE)
    failed = tried.id if tried is not None and tried.result is Result.FAILED else None
    return (status.registry, status.applied, status.feature_views, status.probe, failed, facts)


class Dependents:
    """Compares a project with the state for which its models were last enqueued.

    The status before the reconcile is not enough: a reconcile that failed after its first write has
    changed the status and enqueued no models.
    """

    def __init__(self, references: References) -> None:
        self._references = references
        self._enqueued_for: dict[Key, tuple[object, ...]] = {}

    def forget(self, project: Key) -> None:
        """The project is deleted."""
        self._enqueued_for.pop(project, None)

    def after(self, project: FeatureStoreProject) -> list[Key]:
        """The models to enqueue after a reconcile of the project, with its status as written."""
        key, read = key_of(project), _read_by_models(project)
        known = self._enqueued_for.get(key)
        self._enqueued_for[key] = read
        return self._references.models_of(key) if known != read else []
