"""Follows the aliases of a project's models: what of their history is recorded, and what waits.

The status names the last record and a digest of its aliases. So a process that starts reads MLflow
only if the aliases have changed since; it then finds the change against the last record. Changes
that MLflow does not accept now wait in memory. If the process ends, they become one change.
"""

import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final
from weakref import ref

from feature_lineage.api import FeatureStoreProject
from feature_lineage.decide.facts import key_of
from feature_lineage.decide.observed import AliasFacts
from feature_lineage.errors import FeatureLineageError, InvalidReport
from feature_lineage.features.snapshot import digest_of
from feature_lineage.models.facts import RegistryView
from feature_lineage.operations.alias_history import (
    Aliases,
    AliasState,
    changed,
)
from feature_lineage.operations.past import Place
from feature_lineage.ports import Ports

MAX_PENDING: Final = 20
"""Changes that wait for MLflow; a further one is merged with the newest of them."""
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AliasLog:
    """The history of the aliases of one project's models, as far as this process knows it.

    Attributes:
        where: the place in MLflow; a spec with another place begins another history.
        read: the reading that was followed last, and the project's models in it. The reading is
            not kept alive: its memory may be needed.
    """

    where: str
    facts: AliasFacts
    read: "tuple[ref[RegistryView], frozenset[str]] | None" = None

    @property
    def last(self) -> AliasState:
        """The newest state, recorded or not."""
        return self.facts.pending[-1].state if self.facts.pending else self.facts.recorded

    def of(self, project: FeatureStoreProject) -> "AliasLog | None":
        """The log without what the status says is recorded; None if it is about another history."""
        mark = project.status.alias_history
        record = mark.record if mark is not None else ""
        recorded, pending = self.facts.recorded, self.facts.pending
        if self.where != where_of(project):
            return None
        for number, change in enumerate(pending, 1):
            if change.state.record == record:
                return replace(self, facts=AliasFacts(change.state, pending[number:]))
        return self if recorded.record in ("", record) else None

    def follows(self, view: RegistryView, named: frozenset[str]) -> bool:
        """Whether this reading was followed already."""
        return self.read is not None and (self.read[0]() is view and self.read[1] == named)

    def following(
        self, view: RegistryView, named: frozenset[str], aliases: Aliases, digest: str
    ) -> "AliasLog":
        """The log with the aliases of a newer reading."""
        pending = self.facts.pending
        if digest != self.last.digest:
            if len(pending) == MAX_PENDING:
                pending = pending[:-1]
            before = pending[-1].state if pending else self.facts.recorded
            at = view.found_at or view.read_at
            if digest != before.digest:
                pending = (*pending, changed(before, aliases, digest, at, view.versions))
        read = (ref(view), named)
        return AliasLog(self.where, AliasFacts(self.facts.recorded, pending), read)


def place_of(project: FeatureStoreProject) -> Place:
    """Where the history of a project is."""
    spec, metadata = project.spec, project.metadata
    suffix = spec.mlflow.ops_experiment_suffix if spec.mlflow is not None else "-feast-ops"
    return Place.of(spec.project, suffix, metadata.namespace, metadata.name)


async def follow_aliases(
    ports: Ports,
    project: FeatureStoreProject,
    view: RegistryView,
    named: frozenset[str],
    known: AliasLog | None,
) -> AliasLog | None:
    """The log after a reading of the registry.

    MLflow is asked for the last record only if neither this process nor the status knows it.

    Args:
        named: the registered models of the project.
        known: the log of the last reconcile.

    Returns:
        None if there is no history yet, or if its last record cannot be read now.
    """
    if known is not None and known.follows(view, named):
        return known
    aliases, where = _aliases(view, named), where_of(project)
    digest = digest_of([where, aliases])
    if known is None:
        mark = project.status.alias_history
        if mark is None and not aliases:
            return None
        if mark is not None and mark.digest == digest:
            recorded: AliasState | None = AliasState(mark.record, mark.at, aliases, digest)
        else:
            recorded = await _last_record(ports, project, view, where)
        if recorded is None:
            return None
        known = AliasLog(where, AliasFacts(recorded))
    return known.following(view, named, aliases, digest)


async def _last_record(
    ports: Ports, project: FeatureStoreProject, view: RegistryView, where: str
) -> AliasState | None:
    """The state of the last record in MLflow, or that before the first; None: not known now."""
    found = None
    try:
        registry = await ports.registries.of(project)
        if registry is None:
            return None
        found = await registry.aliases_at(place_of(project))
    except InvalidReport as error:
        _log.warning("%s: the history of aliases begins again: %s", key_of(project), error.message)
    except FeatureLineageError as error:
        _log.warning("%s: the history of aliases is not read: %s", key_of(project), error.message)
        return None
    if found is None:
        # Not the digest of a record that a user deleted: that one stays deleted. And the same
        # digest for a process that starts after a crash.
        mark, day = project.status.alias_history, f"{view.found_at or view.read_at:%Y-%m-%d}"
        return AliasState("", _NEVER, {}, digest_of([where, mark.record if mark else day]))
    return replace(found, digest=digest_of([where, found.aliases]))


def where_of(project: FeatureStoreProject) -> str:
    """Identifies the place in MLflow as the spec names it, and the resource."""
    mlflow, place = project.spec.mlflow, place_of(project)
    server = [mlflow.server_ref, mlflow.tracking_uri, mlflow.workspace] if mlflow else []
    return digest_of([*server, place.aliases, place.resource])


def _aliases(view: RegistryView, named: frozenset[str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for model in sorted(named):
        for version in view.versions.get(model, {}).values():
            for alias in version.aliases:
                found.setdefault(model, {})[alias] = version.version
    return found
