"""Follows the aliases of a project's models: what of their history is recorded, and what waits.

The status names the last record and a digest of its aliases. So a process that starts reads MLflow
only if the aliases have changed since; it then finds the change against the last record. Changes
that MLflow does not accept now wait in memory. If the process ends, they become one change.
"""

import logging
from collections.abc import Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final
from weakref import ref

from feature_lineage.api import FeatureStoreProject
from feature_lineage.decide.facts import key_of
from feature_lineage.decide.observed import AliasFacts, Failure
from feature_lineage.errors import FeatureLineageError, InvalidReport, RequestRejected
from feature_lineage.features.snapshot import digest_of
from feature_lineage.models.facts import RegistryView
from feature_lineage.operations.alias_history import (
    MAX_ALIASES,
    WHOLE_EVERY,
    AliasState,
    changed,
    count,
)
from feature_lineage.operations.past import Place
from feature_lineage.ports import Ports

MAX_PENDING: Final = 20
"""Changes that wait for MLflow; a further one is merged with the newest of them."""
RETRY_READ: Final = timedelta(minutes=5)
"""How long a last record that MLflow refuses is not requested again."""
MAX_SKEW: Final = timedelta(minutes=5)
"""A record that is later than now by more does not count: no process of the operator wrote it."""
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AliasLog:
    """The history of the aliases of one project's models, as far as this process knows it.

    Attributes:
        where: the place in MLflow; a spec with another place begins another history.
        read: the reading that was followed last, and the project's models in it. The reading is
            not kept alive: its memory may be needed.
        until: while the last record is not known, when it is requested again.
    """

    where: str
    facts: AliasFacts
    read: "tuple[ref[RegistryView], frozenset[str]] | None" = None
    until: datetime = _NEVER

    def of(self, project: FeatureStoreProject) -> "AliasLog | None":
        """The log without what the status says is recorded; None if it is about another history."""
        mark = project.status.alias_history
        record = mark.record if mark is not None else ""
        recorded, pending = self.facts.recorded, self.facts.pending
        if self.where != where_of(project):
            return None
        for number, change in enumerate(pending, 1):
            if change.state.record == record:
                facts = replace(self.facts, recorded=change.state, pending=pending[number:])
                return replace(self, facts=facts)
        return self if recorded is None or recorded.record in ("", record) else None

    def follows(self, view: RegistryView, named: frozenset[str]) -> bool:
        """Whether this reading was followed already."""
        return self.read is not None and (self.read[0]() is view and self.read[1] == named)


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

    MLflow is asked for the last record only if neither this process nor the status knows it. One
    that MLflow refuses is asked for again after `RETRY_READ`.

    Args:
        named: the registered models of the project.
        known: the log of the last reconcile.

    Returns:
        None if there is no history yet.
    """
    now = ports.clock.now()
    if known is not None and (known.follows(view, named) or now < known.until):
        return known
    facts = known.facts if known is not None else AliasFacts(None)
    aliases, where, read = _aliases(view, named), where_of(project), (ref(view), named)
    if (total := count(aliases)) > MAX_ALIASES:
        error = RequestRejected(
            f"the models of {project.spec.project} have {total} aliases; the history of more than "
            f"{MAX_ALIASES} is not recorded; remove aliases that are not used"
        )
        return AliasLog(where, replace(facts, failure=Failure.of(error)), read)
    digest = digest_of([where, aliases])
    recorded, mark = facts.recorded, project.status.alias_history
    if recorded is None:
        if mark is None and not aliases:
            return None
        if mark is not None and mark.digest == digest and mark.at <= now + MAX_SKEW:
            recorded = AliasState(mark.record, mark.at, aliases, digest)
        else:
            try:
                recorded = await _last_record(ports, project, view, where)
            except FeatureLineageError as refused:
                failure = Failure.of(refused)
                until = now if failure.outage else now + RETRY_READ
                return AliasLog(where, AliasFacts(None, failure=failure), until=until)
    pending = facts.pending
    if digest != (pending[-1].state if pending else recorded).digest:
        if len(pending) == MAX_PENDING:
            pending = pending[:-1]
        before = pending[-1].state if pending else recorded
        at = view.found_at or view.read_at
        if digest != before.digest:
            others = _aliases(view, before.aliases.keys() - named)
            change = changed(before, aliases, digest, at, view.versions, others)
            pending = (*pending, change)
    return AliasLog(where, AliasFacts(recorded, pending), read)


async def _last_record(
    ports: Ports, project: FeatureStoreProject, view: RegistryView, where: str
) -> AliasState:
    """The state of the last record in MLflow, or that before the first.

    The first record of a process has all aliases: if another process still writes, its records
    that follow another one do not hide those of this process.

    Raises:
        FeatureLineageError: it cannot be read now.
    """
    found = None
    try:
        registry = await ports.registries.of(project)
        if registry is not None:
            found = await registry.aliases_at(place_of(project), ports.clock.now() + MAX_SKEW)
    except InvalidReport as error:
        _log.warning("%s: the history of aliases begins again: %s", key_of(project), error.message)
    if found is None:
        # Not the digest of a record that a user deleted: that one stays deleted. And the same
        # digest for a process that starts after a crash.
        mark, day = project.status.alias_history, f"{view.found_at or view.read_at:%Y-%m-%d}"
        return AliasState("", _NEVER, {}, digest_of([where, mark.record if mark else day]))
    return replace(found, digest=digest_of([where, found.aliases]), deltas=WHOLE_EVERY)


def where_of(project: FeatureStoreProject) -> str:
    """Identifies the place in MLflow as the spec names it, and the resource."""
    mlflow, place = project.spec.mlflow, place_of(project)
    server = [mlflow.server_ref, mlflow.tracking_uri, mlflow.workspace] if mlflow else []
    return digest_of([*server, place.aliases, place.resource])


def _aliases(view: RegistryView, named: Set[str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for model in sorted(named):
        for version in view.versions.get(model, {}).values():
            for alias in version.aliases:
                found.setdefault(model, {})[alias] = version.version
    return found
