"""Observes one project through the ports, as input of `decide`.

A fact that cannot be read becomes a `Failure` in the observation.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from feature_lineage.api import FeatureStoreProject
from feature_lineage.api.annotations import RECONCILE_REQUESTED_AT
from feature_lineage.decide.budget import short_name
from feature_lineage.decide.facts import JobFacts, SourceFacts, key_of
from feature_lineage.decide.model.link import versions_of
from feature_lineage.decide.observed import AliasFacts, Failure, ModelFacts, ObservedProject
from feature_lineage.decide.project.due import guard_is_needed
from feature_lineage.decide.project.history import records_operations
from feature_lineage.decide.project.job_request import inputs_digest
from feature_lineage.errors import FeatureLineageError
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.models.facts import RegistryView
from feature_lineage.operations.protection import build_guard
from feature_lineage.ports import ModelRegistry, Ports
from feature_lineage.reconcile.alias_log import follow_aliases
from feature_lineage.reconcile.cache import (
    CachedFacts,
    ReconcileCache,
    ResolvedSource,
)
from feature_lineage.reconcile.declared_links import declarations, declared_links
from feature_lineage.reconcile.declared_versions import (
    Declaring,
    declared_versions,
    declaring_models,
)
from feature_lineage.reconcile.feature_server import refused_server
from feature_lineage.reconcile.link_versions import linked_versions
from feature_lineage.reconcile.model_registry import read_model_registry

GUARD_FRESH: Final = timedelta(seconds=5)


async def observe_project(
    ports: Ports,
    memory: ReconcileCache,
    project: FeatureStoreProject,
    *,
    requested: bool = False,
    planning: bool = False,
) -> ObservedProject:
    """The observation of one project.

    Args:
        requested: a reconcile was requested.
        planning: the facts about models must always be fresh enough for a guard.
    """
    annotation = project.metadata.annotations.get(RECONCILE_REQUESTED_AT)
    handled = project.status.last_handled_reconcile_at
    annotated = annotation is not None and short_name(annotation) != handled
    asked = requested or annotated
    source = await _source(ports, memory, project, asked=asked)
    snapshot = await memory.snapshots.current(ports, project)
    jobs = await _jobs(ports, project, snapshot)
    observed = ObservedProject(
        resource=project,
        now=ports.clock.now(),
        requested=asked,
        annotated=annotated,
        source=source,
        jobs=jobs,
        snapshot=snapshot,
        probe=await memory.probes.current(ports, project),
        server_refused=refused_server(ports, project),
        damage=ports.snapshots.damage(key_of(project)),
        asked_at=_asked_at(ports, memory, project, jobs),
    )
    inputs = inputs_digest(observed)
    fresh = planning or guard_is_needed(observed, inputs)
    models = await _model_facts(ports, memory, observed, fresh=fresh)
    if not fresh and guard_is_needed(replace(observed, models=models), inputs):
        # The facts show that the guard has changed: the job needs a current guard.
        models = await _model_facts(ports, memory, observed, fresh=True)
    aliases = None if planning else await _alias_facts(ports, memory, project, models)
    return replace(observed, models=models, aliases=aliases, now=ports.clock.now())


def _with_known_code(job: JobFacts, known: RegistrySnapshot | None) -> JobFacts:
    """A job that did not import the repo lacks closures of unchanged views; the host has them."""
    report = job.report
    if report is None or report.snapshot is None or known is None:
        return job
    snapshot = report.snapshot.knowing(known)
    return replace(job, report=report.model_copy(update={"snapshot": snapshot}))


async def _source(
    ports: Ports, memory: ReconcileCache, project: FeatureStoreProject, *, asked: bool
) -> SourceFacts | Failure | None:
    spec, now = project.spec, ports.clock.now()
    if spec.source is None and spec.feature_store_yaml is None:
        return None
    known = memory.sources.get(key_of(project))
    if known is not None and not asked and known.holds(project, now):
        return known.facts
    memory.sources.pop(key_of(project), None)
    try:
        facts = await ports.source.resolve(project)
    except FeatureLineageError as error:
        return Failure.of(error)
    memory.sources[key_of(project)] = ResolvedSource(
        now, spec.source, spec.feature_store_yaml, facts
    )
    return facts


async def _jobs(
    ports: Ports, project: FeatureStoreProject, snapshot: RegistrySnapshot | None
) -> dict[str, JobFacts]:
    """The jobs of the operations in flight, by name; those that exist."""
    found = {}
    for operation in project.status.in_flight:
        job = await ports.jobs.state(operation.job, project)
        if job is not None:
            found[operation.job] = _with_known_code(job, snapshot)
    return found


def _asked_at(
    ports: Ports,
    memory: ReconcileCache,
    project: FeatureStoreProject,
    jobs: Mapping[str, JobFacts],
) -> datetime | None:
    """When this process first saw the question of the running job for a newer guard.

    The clock of the job and what it claims are not used: whoever controls the job writes them.
    """
    key, token = (
        key_of(project),
        next((job.guard_question for job in jobs.values() if job.guard_question), ""),
    )
    if not token:
        memory.questions.pop(key, None)
        return None
    if key not in memory.questions or memory.questions[key][0] != token:
        memory.questions[key] = (token, ports.clock.now())
    return memory.questions[key][1]


async def _model_facts(
    ports: Ports, memory: ReconcileCache, observed: ObservedProject, *, fresh: bool
) -> ModelFacts | None:
    project, mlflow = observed.resource, observed.resource.spec.mlflow
    if mlflow is None:
        return None
    max_age = min(GUARD_FRESH, mlflow.poll_interval) if fresh else mlflow.poll_interval
    registry, view, failure = await read_model_registry(ports, project, max_age, full=fresh)
    if view is None:
        memory.facts.pop(key_of(project), None)
        return ModelFacts(read_at=None, failure=failure)
    digest = observed.snapshot.digest if observed.snapshot else ""
    declaring, declared = (
        declaring_models(ports, project, view),
        declarations(ports, project, view),
    )
    remembered = memory.facts.get(key_of(project))
    if (
        remembered is not None
        and remembered.of(view, digest, failure, project)
        and (remembered.declaring, remembered.declared) == (declaring, declared)
    ):
        return remembered.facts
    facts = await _linked_facts(ports, memory, observed, registry, view, failure, declaring)
    asked = await declared_links(
        ports, memory, project, registry, view, observed.snapshot, declared, facts.linked
    )
    facts = replace(facts, declared=asked)
    allowed, namespace = project.spec.allowed_namespaces, project.metadata.namespace
    named = {item.version.name for item in facts.linked}
    named |= {name for name, stamp in declaring if allowed.permit(stamp.namespace, namespace)}
    memory.facts[key_of(project)] = CachedFacts(
        view, digest, failure, project.spec, facts, declaring, declared, frozenset(named)
    )
    return facts


async def _alias_facts(
    ports: Ports, memory: ReconcileCache, project: FeatureStoreProject, models: ModelFacts | None
) -> AliasFacts | None:
    """The history of aliases; None if it is not recorded, or if MLflow does not answer."""
    key, spec = key_of(project), project.spec
    stopped = spec.suspend or project.metadata.deletion_timestamp is not None
    if not records_operations(spec) or stopped or models is None:
        return None
    log, cached = memory.aliases.pop(key, None), memory.facts.get(key)
    log = log.of(project) if log is not None else None
    view = cached.read_view if cached is not None else None
    if models.failure is None and cached is not None and view is not None:
        log = await follow_aliases(ports, project, view, cached.named, log)
    if log is None:
        return None
    memory.aliases[key] = log
    return log.facts


async def _linked_facts(
    ports: Ports,
    memory: ReconcileCache,
    observed: ObservedProject,
    registry: ModelRegistry | None,
    view: RegistryView,
    failure: Failure | None,
    declaring: tuple[Declaring, ...],
) -> ModelFacts:
    project, snapshot = observed.resource, observed.snapshot
    versions, policy = versions_of(view, project.spec.project), project.spec.apply.protection
    found = await linked_versions(
        ports, memory, project, registry, view, snapshot, versions, protection=policy
    )
    for declared, version in await declared_versions(ports, project, view, declaring):
        found += await linked_versions(
            ports, memory, project, registry, view, snapshot, [version], declared, policy
        )
    protected = (model for _, model in found if model is not None)
    linked = tuple(item for item, _ in found)
    return ModelFacts(view.read_at, linked, build_guard(view.read_at, protected), failure)
