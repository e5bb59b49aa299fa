"""Gathers everything `decide` needs to know about one resource, through the ports.

What cannot be known becomes a `Failure` in the observation; nothing is left out silently.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from feature_lineage.api import FeatureStoreProject, TrainedModel
from feature_lineage.api.annotations import RECONCILE_REQUESTED_AT
from feature_lineage.api.enums import ApplyMode, NamespacesFrom, Result
from feature_lineage.api.project_spec import FeatureStoreProjectSpec
from feature_lineage.errors import FeatureLineageError
from feature_lineage.features.history import SnapshotRecord
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.models.facts import ModelVersion, RegistryView
from feature_lineage.ports import JobFacts, Key, ModelRegistry, Ports, SourceFacts
from feature_lineage.reconcile.absorb import job_id
from feature_lineage.reconcile.facts import baseline_of, guard_of, link_version, versions_of
from feature_lineage.reconcile.requests import inputs_digest
from feature_lineage.reconcile.values import (
    Elder,
    Failure,
    LinkedVersion,
    ModelFacts,
    ObservedModel,
    ObservedProject,
)

GUARD_FRESH: Final = timedelta(seconds=5)


@dataclass
class Memory:
    """What is worth not computing twice; losing it costs time and nothing else.

    Attributes:
        snapshots: by digest, immutable.
        facts: of each project, with what they were computed from.
    """

    snapshots: dict[str, RegistrySnapshot] = field(default_factory=dict)
    facts: dict[Key, "Remembered"] = field(default_factory=dict)


@dataclass(frozen=True)
class Remembered:
    """Facts about a project's models, and what they were computed from."""

    view: RegistryView
    digest: str
    failure: Failure | None
    spec: FeatureStoreProjectSpec
    facts: ModelFacts

    def of(
        self, view: RegistryView, digest: str, failure: Failure | None, project: FeatureStoreProject
    ) -> bool:
        same = self.view is view and self.digest == digest and self.failure == failure
        return same and self.spec == project.spec


def key_of(resource: FeatureStoreProject | TrainedModel) -> Key:
    return Key(resource.kind, resource.metadata.namespace, resource.metadata.name)


def experiment_of(project: FeatureStoreProject) -> str:
    """The MLflow experiment of a project's ops runs."""
    suffix = project.spec.mlflow.ops_experiment_suffix if project.spec.mlflow else "-feast-ops"
    return f"{project.spec.project}{suffix}"


async def observe_project(
    ports: Ports,
    memory: Memory,
    project: FeatureStoreProject,
    *,
    requested: bool = False,
    planning: bool = False,
) -> ObservedProject:
    """Everything known about one project.

    Args:
        requested: somebody asks to look now.
        planning: the facts about models must be fresh enough for a guard in any case.
    """
    annotation = project.metadata.annotations.get(RECONCILE_REQUESTED_AT)
    asked = requested or (
        annotation is not None and annotation != project.status.last_handled_reconcile_at
    )
    source = await _source(ports, project)
    job = await _job(ports, project)
    snapshot = await _current_snapshot(ports, memory, project)
    observed = ObservedProject(
        resource=project,
        now=ports.clock.now(),
        requested=asked,
        source=source,
        elders=_elders(ports, project),
        job=job,
        snapshot=snapshot,
    )
    fresh = planning or _wants_apply(observed)
    models = await _model_facts(ports, memory, observed, fresh=fresh)
    return ObservedProject(**{**vars(observed), "models": models, "now": ports.clock.now()})


async def _source(ports: Ports, project: FeatureStoreProject) -> SourceFacts | Failure | None:
    if project.spec.source is None and project.spec.feature_store_yaml is None:
        return None
    try:
        return await ports.source.resolve(project)
    except FeatureLineageError as error:
        return Failure.of(error)


async def _job(ports: Ports, project: FeatureStoreProject) -> JobFacts | None:
    operation = project.status.operation
    return None if operation is None else await ports.jobs.look(job_id(operation))


async def _current_snapshot(
    ports: Ports, memory: Memory, project: FeatureStoreProject
) -> RegistrySnapshot | None:
    registry = project.status.registry
    if registry is None or registry.digest is None:
        return None
    found = await _snapshots(ports, memory, project, None, {registry.digest})
    return found.get(registry.digest)


async def _snapshots(
    ports: Ports,
    memory: Memory,
    project: FeatureStoreProject,
    registry: ModelRegistry | None,
    digests: Iterable[str],
) -> dict[str, RegistrySnapshot]:
    """Snapshots by digest: from memory, from where the host keeps them, else from the ops runs."""
    found: dict[str, RegistrySnapshot] = {}
    for digest in digests:
        snapshot = memory.snapshots.get(digest)
        if snapshot is None:
            snapshot = await ports.snapshots.get(key_of(project), digest)
        if snapshot is None and registry is not None:
            snapshot = await registry.snapshot(experiment_of(project), digest)
        if snapshot is not None:
            found[digest] = memory.snapshots[digest] = snapshot
    return found


def _elders(ports: Ports, project: FeatureStoreProject) -> tuple[Elder, ...]:
    """Older resources for the same Feast project; who is older settles by creation, then name."""
    own = _seniority(project)
    return tuple(
        Elder(
            key=key_of(other),
            registry_id=(other.status.registry.id or "") if other.status.registry else "",
            settled=other.status.last_apply is not None
            or other.spec.suspend
            or other.spec.apply.mode is ApplyMode.OBSERVE,
        )
        for other in ports.resources.projects()
        if other.spec.project == project.spec.project
        and key_of(other) != key_of(project)
        and _seniority(other) < own
    )


def _seniority(resource: FeatureStoreProject | TrainedModel) -> tuple[bool, str, str, str]:
    created = resource.metadata.creation_timestamp
    return (
        created is None,
        created.isoformat() if created else "",
        resource.metadata.namespace,
        resource.metadata.name,
    )


def _wants_apply(observed: ObservedProject) -> bool:
    """Whether an apply may start now, for which the facts about models must be fresh."""
    status = observed.resource.status
    if observed.job is not None and observed.job.running:
        return False
    if observed.deleted:
        return True
    if observed.resource.spec.apply.mode is ApplyMode.OBSERVE or observed.resource.spec.suspend:
        return False
    last = status.last_apply
    waits = status.operation is not None and status.operation.kind in ("Apply", "Plan")
    return (
        last is None
        or waits
        or last.inputs_digest != inputs_digest(observed)
        or (last.result is Result.BLOCKED and observed.requested)
    )


async def _model_facts(
    ports: Ports, memory: Memory, observed: ObservedProject, *, fresh: bool
) -> ModelFacts | None:
    project, mlflow = observed.resource, observed.resource.spec.mlflow
    if mlflow is None:
        return None
    registry: ModelRegistry | None = None
    failure: Failure | None = None
    view: RegistryView | None = None
    max_age = min(GUARD_FRESH, mlflow.poll_interval) if fresh else mlflow.poll_interval
    try:
        registry = await ports.registries.of(project)
        if registry is not None:
            view = await registry.view(max_age=max_age, full=fresh)
    except FeatureLineageError as error:
        failure = Failure.of(error)
        view = registry.last_view if registry is not None else None
    if view is None:
        return ModelFacts(read_at=None, failure=failure)
    digest = observed.snapshot.digest if observed.snapshot else ""
    remembered = memory.facts.get(key_of(project))
    if remembered is not None and remembered.of(view, digest, failure, project):
        return remembered.facts
    facts = await _linked_facts(ports, memory, observed, registry, view, failure)
    memory.facts[key_of(project)] = Remembered(view, digest, failure, project.spec, facts)
    return facts


async def _linked_facts(
    ports: Ports,
    memory: Memory,
    observed: ObservedProject,
    registry: ModelRegistry | None,
    view: RegistryView,
    failure: Failure | None,
) -> ModelFacts:
    project, snapshot = observed.resource, observed.snapshot
    versions = versions_of(view, project.spec.project)
    linked, baselines = await _linked(ports, memory, project, registry, view, snapshot, versions)
    guard = guard_of(view.read_at, linked, baselines, snapshot, project.spec.apply.protection)
    return ModelFacts(view.read_at, linked, guard, failure)


async def _linked(
    ports: Ports,
    memory: Memory,
    project: FeatureStoreProject,
    registry: ModelRegistry | None,
    view: RegistryView,
    snapshot: RegistrySnapshot | None,
    versions: Iterable[ModelVersion],
    declaring: TrainedModel | None = None,
) -> tuple[tuple[LinkedVersion, ...], dict[str, RegistrySnapshot]]:
    history = await ports.snapshots.history(key_of(project))
    current = _current(project)
    chosen = [(version, baseline_of(view, version, history, current)) for version in versions]
    wanted = {baseline.digest for _, baseline in chosen if baseline is not None}
    baselines = await _snapshots(ports, memory, project, registry, sorted(wanted))
    linked = tuple(
        link_version(
            view,
            version,
            project.spec.project,
            baseline,
            baselines,
            snapshot,
            declared_service=declaring.spec.feature_service if declaring else None,
            on_conflict=declaring.spec.on_conflict.value if declaring else "Report",
        )
        for version, baseline in chosen
    )
    return linked, baselines


def _current(project: FeatureStoreProject) -> SnapshotRecord | None:
    registry = project.status.registry
    if registry is None or registry.digest is None or registry.observed_at is None:
        return None
    return SnapshotRecord(registry.observed_at, registry.digest)


async def observe_model(ports: Ports, memory: Memory, model: TrainedModel) -> ObservedModel:
    """Everything known about one model."""
    project = _project_of(ports, model)
    if project is None or project.spec.mlflow is None:
        return ObservedModel(model, ports.clock.now(), project=project)
    snapshot = await _current_snapshot(ports, memory, project)
    registry: ModelRegistry | None = None
    failure: Failure | None = None
    view: RegistryView | None = None
    linked: tuple[LinkedVersion, ...] = ()
    left: ModelVersion | None = None
    try:
        registry = await ports.registries.of(project)
        if registry is not None:
            view = await registry.view(max_age=project.spec.mlflow.poll_interval)
    except FeatureLineageError as error:
        failure = Failure.of(error)
        view = registry.last_view if registry is not None else None
    if view is not None:
        version = _version_of(view, model)
        left = _left(ports, view, model, version)
        if version is not None:
            linked, _ = await _linked(
                ports, memory, project, registry, view, snapshot, [version], model
            )
    return ObservedModel(
        model,
        ports.clock.now(),
        project=project,
        view=view,
        failure=failure,
        linked=linked[0] if linked else None,
        elders=_older_models(ports, view, model, linked[0].version) if linked and view else (),
        left=left,
        snapshot=snapshot,
    )


def _project_of(ports: Ports, model: TrainedModel) -> FeatureStoreProject | None:
    """The project a model refers to; one that is not permitted reads like one that is not there."""
    reference, own = model.spec.project_ref, model.metadata.namespace
    namespace = reference.namespace or own
    project = ports.resources.project(namespace, reference.name)
    if project is None or namespace == own:
        return project
    allowed = project.spec.allowed_namespaces
    permitted = allowed.from_ is NamespacesFrom.ALL or (
        allowed.from_ is NamespacesFrom.LIST and own in allowed.names
    )
    return project if permitted else None


def _version_of(view: RegistryView, model: TrainedModel) -> ModelVersion | None:
    reference = model.spec.model
    if reference.alias is not None:
        return view.by_alias(reference.name, reference.alias)
    return view.version(reference.name, reference.version or "")


def _left(
    ports: Ports, view: RegistryView, model: TrainedModel, current: ModelVersion | None
) -> ModelVersion | None:
    """The version the alias pointed to before, where no other resource stands for it."""
    name = model.spec.model.name
    numbers = [entry.version for entry in model.status.history[:2]]
    past = next((n for n in numbers if current is None or n != current.version), None)
    version = view.version(name, past) if past is not None else None
    followed = any(
        other.spec.model.name == name and _version_of(view, other) == version
        for other in ports.resources.models()
    )
    return None if followed else version


def _older_models(
    ports: Ports, view: RegistryView, model: TrainedModel, version: ModelVersion
) -> tuple[str, ...]:
    """Older resources that stand for the same version: they write its tags."""
    own = _seniority(model)
    return tuple(
        f"{other.metadata.namespace}/{other.metadata.name}"
        for other in ports.resources.models()
        if other.spec.model.name == version.name
        and key_of(other) != key_of(model)
        and _seniority(other) < own
        and not other.spec.suspend
        and _version_of(view, other) == version
        and _project_of(ports, other) == _project_of(ports, model)
    )
