"""Plans on this machine: what the newest revision of a project would change and break.

A plan has the same facts, preconditions, job and policy as an apply.
"""

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path

from feature_lineage.api import FeatureStoreProject
from feature_lineage.api.annotations import override
from feature_lineage.api.enums import DeletionPolicy, OperationKind, OverrideKind
from feature_lineage.decide.facts import JobFacts, Key, Resource, SourceFacts, key_of
from feature_lineage.decide.observed import Failure, ObservedProject
from feature_lineage.decide.project.job_request import apply_request, was_refused
from feature_lineage.decide.project.plan_doubts import plan_doubts
from feature_lineage.decide.project.preconditions import guard_failure
from feature_lineage.errors import InvalidManifest
from feature_lineage.local.host import LocalHost
from feature_lineage.local.subprocess_jobs import SubprocessJobs
from feature_lineage.operations.doubts import PlanWarning
from feature_lineage.operations.explain import explain
from feature_lineage.operations.identity import owner_id
from feature_lineage.operations.newer_guard import GuardAnswer
from feature_lineage.operations.plan import Plan
from feature_lineage.operations.protocol import JobRequest
from feature_lineage.reasons import Reason
from feature_lineage.reconcile.cache import ReconcileCache
from feature_lineage.reconcile.observe_project import observe_project


@dataclass(frozen=True)
class Planned:
    """The plan of one project.

    Attributes:
        plan: None if it could not be made.
        removed: whether the manifest of the project was removed: a run would delete the project.
        problem: why there is no plan; "" otherwise. For a removed manifest: what a run does.
        overrides: digests of plans that annotations permit.
        warnings: what makes the answer worth less: of the facts about models, and of the job.
    """

    key: Key
    revision: str
    plan: Plan | None
    problem: str = ""
    removed: bool = False
    overrides: tuple[str, ...] = ()
    warnings: tuple[PlanWarning, ...] = ()


async def plan_folder(host: LocalHost) -> list[Planned]:
    """Plan every project of the host's folder that has a source, one after another.

    Raises:
        InvalidManifest: with every error of every file.
        StateUnusable: a source needs a working tree, and another host has locked the state folder.
    """
    manifests = host.load(keep=False)
    removed = [_removed(project) for project in host.resources.removed(manifests)]
    projects = [
        project
        for project in host.resources.projects()
        if project.spec.source and key_of(project) in manifests.resources
    ]
    if not projects and not any(removed):
        raise InvalidManifest(
            f"{host.folder} contains no FeatureStoreProject with a source; there is nothing to plan"
        )
    if any(host.source.watched(project) is None for project in projects):
        # The working trees are in the state folder, where one host at a time may check out.
        host.state.acquire()
    try:
        plans = [await _plan(host, project) for project in sorted(projects, key=_name)]
        return [*plans, *filter(None, removed)]
    finally:
        host.state.release()


def _removed(resource: Resource) -> Planned | None:
    """What a run does to a project without a manifest; None for a model."""
    if not isinstance(resource, FeatureStoreProject):
        return None
    if resource.spec.deletion_policy is DeletionPolicy.DELETE:
        what = (
            "its manifest was removed: `local --delete-removed` would delete the project, "
            "its objects in the registry and its online tables; without the option it stays"
        )
    else:
        what = "its manifest was removed: `local` would forget it; its objects in Feast stay"
    return Planned(key_of(resource), "", None, what, removed=True)


def _name(project: FeatureStoreProject) -> str:
    return str(key_of(project))


async def _plan(host: LocalHost, project: FeatureStoreProject) -> Planned:
    observed = await observe_project(host.ports, ReconcileCache(), project, planning=True)
    key, source = key_of(project), observed.source
    if isinstance(source, Failure):
        return Planned(key, "", None, source.message)
    assert isinstance(source, SourceFacts)
    failure = guard_failure(observed)
    if failure is not None:
        return Planned(key, source.revision, None, failure.message)
    with tempfile.TemporaryDirectory(prefix="feature-lineage-plan-") as folder:
        return await _run(host, observed, source, Path(folder))


async def _run(
    host: LocalHost, observed: ObservedProject, source: SourceFacts, folder: Path
) -> Planned:
    project, changed = observed.resource, asyncio.Event()
    jobs = SubprocessJobs(folder, lambda _: changed.set(), host.objects, host.source)
    apply = apply_request(observed, project.status, observed.snapshot)
    # With an empty state folder, the plan is made as on the host that applies the project.
    known = host.state.load(key_of(project)) is not None
    request = JobRequest(
        operation_id="plan",
        kind=OperationKind.PLAN,
        project=project.spec.project,
        repo="",
        revision=source.revision,
        feature_store_yaml=source.feature_store_yaml,
        deadline_seconds=project.spec.runtime.timeout.total_seconds(),
        owner=owner_id(project.metadata.namespace, project.metadata.name),
        refused=was_refused(project.status),
        apply=apply if known else apply.model_copy(update={"adopted": None}),
    )
    try:
        await jobs.start(request, project)
        facts = await _ended(host, project, jobs, changed)
    finally:
        await jobs.stop_all()
    report = facts.report if facts else None
    if facts is None or report is None or report.plan is None:
        problem = report.message if report else (facts.message if facts else "the job was deleted")
        tail = f"\n{report.output_tail}" if report and report.output_tail else ""
        return Planned(key_of(project), source.revision, None, problem + tail)
    plan = report.plan
    annotations = project.metadata.annotations
    given = (
        override(annotations, kind)
        for kind in (OverrideKind.ALLOW_BREAKING, OverrideKind.ALLOW_ADOPTION)
    )
    overrides = tuple(item.plan_digest for item in given if item is not None)
    if plan.reason == Reason.REGISTRY_EMPTY:
        # What the plan says is about another registry than that of the models.
        problem = explain(plan, source.revision, overrides=overrides, planning=True)
        return Planned(key_of(project), source.revision, None, problem)
    return Planned(
        key_of(project),
        source.revision,
        plan,
        overrides=overrides,
        warnings=(*plan_doubts(observed), *map(PlanWarning.parse, report.warnings)),
    )


async def _ended(
    host: LocalHost, project: FeatureStoreProject, jobs: SubprocessJobs, changed: asyncio.Event
) -> JobFacts | None:
    """Wait for the end of the plan's job, and answer its question for a newer guard."""
    while (facts := await jobs.state("plan")) is not None and facts.running:
        if facts.guard_question:
            cache = ReconcileCache()
            observed = await observe_project(host.ports, cache, project, planning=True)
            failure, models = guard_failure(observed), observed.models
            answer = GuardAnswer(
                token=facts.guard_question,
                guard=models.guard if models and failure is None else None,
                failure=failure.message if failure else "",
            )
            await jobs.answer("plan", project, answer)
        await changed.wait()
        changed.clear()
    return facts
