"""Plan and apply: import the repo, plan, and stop or change the registry atomically.

One process plans and applies. If the registry differs from the one that the plan was made for, the
job stops before it changes anything.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from feature_lineage.features.bounds import check_dependencies
from feature_lineage.features.delta import ObjectDelta, delta
from feature_lineage.features.diff import Change, ChangeClass
from feature_lineage.features.signatures import views_without_entity
from feature_lineage.features.snapshot import VIEW_KINDS, RegistrySnapshot
from feature_lineage.operations.doubts import Doubt
from feature_lineage.operations.explain import explain
from feature_lineage.operations.job_report import JobReport, Outcome
from feature_lineage.operations.kinds import KINDS
from feature_lineage.operations.plan import Plan, PlanVerdict, unpruned
from feature_lineage.operations.plan_checks import guarded_models, make_plan
from feature_lineage.operations.protected_services import (
    guarded_services,
    protected_services,
    record_of,
    service_warnings,
)
from feature_lineage.operations.protection import GuardedModel
from feature_lineage.operations.protocol import ApplyRequest
from feature_lineage.operations.serving import (
    Answers,
    Question,
    not_served,
    question_of,
    serving_warnings,
)
from feature_lineage.reasons import Reason
from feature_lineage.runner import commit, online
from feature_lineage.runner.changes import Changes
from feature_lineage.runner.closures import closures_of
from feature_lineage.runner.dry_retrieval import retrieve
from feature_lineage.runner.errors import InvalidRepo, SteppedBack
from feature_lineage.runner.function_diff import with_code
from feature_lineage.runner.job import Job, intervals, view_reports
from feature_lineage.runner.owner import is_owned_by_other, owner_of, services_record_of
from feature_lineage.runner.reader import Reading, views_of
from feature_lineage.runner.repo import desired_snapshot, import_repo
from feature_lineage.runner.stored import storage_warnings
from feature_lineage.shorten import listed
from feature_lineage.sources.tree import tree_revision

# Created and deleted by API calls; a repo cannot declare these kinds.
_NOT_IN_REPOS: Final = ("saved_dataset", "validation_reference")


def apply(job: Job) -> JobReport:
    """Plan the repo's changes to the registry and apply them unless only a plan is requested.

    Raises:
        InvalidRepo: the repo's code or configuration has an error.
        SteppedBack: the guard is too old and the host sends no newer one, or the registry has
            changed.
        TooManyDependencies: the operator would not read the registry.
    """
    request = job.request.apply or ApplyRequest()
    before = job.read()
    current = job.snapshot(before)
    recorded = owner_of(before.proto, job.project)
    owner = job.request.owner or recorded
    store = job.open_store()
    with job.progress.phase("import_repo"):
        contents = import_repo(job.repo, store)
        _check_folder(job)
    with job.progress.phase("infer"):
        declared = desired_snapshot(store, contents, before.proto)
        closures = closures_of(contents, job.repo)
    desired = _desired(current, declared, closures, prune=request.prune)
    check_dependencies(desired)
    changes = delta(current, desired)
    record = record_of(request.services)
    record_before = services_record_of(before.proto, job.project)
    writing = Changes(contents, changes, owner, record)
    services = _protected_services(request, current, record_before)

    def guarded_by(request: ApplyRequest) -> tuple[GuardedModel, ...]:
        return (*guarded_models(request), *guarded_services(current, services))

    def ask(questions: Iterable[Question]) -> dict[Question, Answers]:
        with job.progress.phase("dry_retrieval"):
            return retrieve(store, before, writing, questions)

    answers = ask(map(question_of, guarded_by(request))) if changes else {}
    # The dry retrieval may take longer than maxGuardAge, so the guard is renewed after it.
    request = _with_current_guard(job, request)
    guarded = guarded_by(request)
    if changes and (new := set(map(question_of, guarded)) - answers.keys()):
        answers |= ask(new)
    with job.progress.phase("plan"):
        dropped = online.dropped_views(current, desired)
        plan = make_plan(
            current=current,
            desired=desired,
            request=request,
            now=datetime.now(UTC),
            registry_id=job.settings.registry_id,
            online_tables_dropped=dropped,
            other_owner=recorded if is_owned_by_other(job.request, recorded, current) else None,
            answers=answers,
            services=services,
        )
        repo_objects = contents.to_registry_proto()
        code = with_code(plan.changes, before.proto, repo_objects, job.project)
        plan = replace(plan, changes=code)
    known: dict[str, Any] = {
        "plan": plan,
        "previous": current.objects_digest,
        "counts": _counts(changes),
        "warnings": (
            *_store_warnings(job, request, before),
            *_backfill_warnings(plan, before, job.project),
            *_comparison_warnings(job, current, desired, request),
            *serving_warnings(guarded, answers),
            *(
                f"{Doubt.PROTECTS_NOTHING}: {text}"
                for text in service_warnings(current, desired, request.services)
            ),
        ),
    }
    _check_entities(current, desired, plan)
    if stopped := _stop(job, plan, request, current, before, known):
        return stopped
    with job.progress.phase("apply"):
        store._registry = None
        tables = online.OnlineTables(store, contents, before.proto, job.progress)
        if changes or not before.exists or (recorded, record_before or "") != (owner, record):
            commit.commit(store, job.repo, before, current.objects_digest, writing, tables.create)
        else:
            tables.create()
        tables.drop(dropped, request.last_views)
    after = job.read()
    staged = {question: answer.staged for question, answer in answers.items()}
    snapshot = job.snapshot(after, desired.closures, not_served(staged) if staged else None)
    known["warnings"] += storage_warnings(delta(desired, snapshot))
    views = view_reports(after.proto, job.project)
    return job.report(Outcome.SUCCEEDED, snapshot=snapshot, views=views, **known)


def _with_current_guard(job: Job, request: ApplyRequest) -> ApplyRequest:
    """The request with a newer guard, if its guard became too old while the job worked."""
    guard = job.request.enforced_guard
    if guard is None:
        return request
    current = job.current_guard(guard, request.max_guard_age_seconds)
    return request.model_copy(update={"guard": current})


def _check_folder(job: Job) -> None:
    """Check, after the import, that the folder still has the requested revision."""
    request = job.request
    if request.folder_revision and tree_revision(job.repo) != request.revision:
        raise SteppedBack(
            f"{job.repo} changed since the operation was decided; its newest state is used next",
            reason=Reason.PROGRESSING,
        )


def _desired(
    current: RegistrySnapshot,
    declared: RegistrySnapshot,
    closures: Mapping[str, str],
    *,
    prune: bool,
) -> RegistrySnapshot:
    """The desired registry: the repo's objects, and objects that a repo cannot declare."""
    objects = {kind: dict(named) for kind, named in declared.objects.items()}
    for kind in _NOT_IN_REPOS:
        if kind in current.objects:
            objects[kind] = dict(current.objects[kind])
    desired = RegistrySnapshot(declared.project, objects, closures)
    return desired if prune else unpruned(current, desired)


def _protected_services(
    request: ApplyRequest, current: RegistrySnapshot, record: str | None
) -> tuple[str, ...]:
    if request.protection == "Off":
        return ()
    return protected_services(current, request.services, record)


def _check_entities(current: RegistrySnapshot, desired: RegistrySnapshot, plan: Plan) -> None:
    """Refuse new views that Feast cannot serve. If models use them, the plan says so.

    Raises:
        InvalidRepo: a view uses an entity that the repo does not apply.
    """
    new = sorted(views_without_entity(desired) - views_without_entity(current))
    if new and not plan.impacts:
        view, entity = new[0]
        more = f" (and {len(new) - 1} more)" if len(new) > 1 else ""
        raise InvalidRepo(
            f"feature view {view!r} uses entity {entity!r}{more}, which the repo does not apply, "
            "so Feast cannot serve the view: assign the Entity to a name at the top of a module"
        )


def _counts(changes: tuple[ObjectDelta, ...]) -> dict[str, int]:
    return {
        "created": sum(change.was is None for change in changes),
        "updated": sum(change.was is not None and change.now is not None for change in changes),
        "deleted": sum(change.now is None for change in changes),
    }


def _stop(
    job: Job,
    plan: Plan,
    request: ApplyRequest,
    current: RegistrySnapshot,
    before: Reading,
    known: dict[str, Any],
) -> JobReport | None:
    """The report if nothing is to be written: the plan is blocked, or only a plan was requested."""
    if plan.reason == Reason.GUARD_UNAVAILABLE:
        raise SteppedBack(explain(plan, job.request.revision), reason=Reason.GUARD_UNAVAILABLE)
    known = {**known, "snapshot": current, "views": view_reports(before.proto, job.project)}
    if plan.verdict is PlanVerdict.BLOCKED:
        overrides = [
            given.plan_digest for given in (request.allow_breaking, request.allow_adoption) if given
        ]
        planning = not KINDS[job.request.kind].writes_registry
        message = explain(plan, job.request.revision, overrides=overrides, planning=planning)
        return job.report(Outcome.BLOCKED, reason=plan.reason, message=message, **known)
    if not KINDS[job.request.kind].writes_registry:
        return job.report(Outcome.PLANNED, **known)
    return None


def _store_warnings(job: Job, request: ApplyRequest, before: Reading) -> tuple[str, ...]:
    """Warn of an online store that is not the one in effect: nothing is known to be in it."""
    settings = job.settings
    if request.online_store in ("", settings.online_store_id):
        return ()
    names = sorted(m.spec.name for _, m in views_of(before.proto, job.project) if intervals(m))
    lost = listed(names, 10) or "no view has rows yet"
    text = (
        f"{Doubt.STORE_MOVED}: the online store moved: as far as is known, the "
        f"{settings.online_store_type} store of this revision is empty, and Feast serves no value "
        f"from it until the views are materialized again: {lost}. "
        "The next tick of a schedule writes all rows that can be served"
    )
    return (text,)


def _backfill_warnings(plan: Plan, before: Reading, project: str) -> tuple[str, ...]:
    """Warn of changed columns: Feast keeps the view's intervals, so past rows are not rewritten."""
    materialized = {
        message.spec.name for _, message in views_of(before.proto, project) if intervals(message)
    }
    features: dict[str, list[str]] = {}
    for change in plan.changes:
        if change.name in materialized and _new_column(change):
            features.setdefault(change.name, []).append(change.feature)
    return tuple(
        f"{Doubt.INTERVALS_KEPT}: feature view {view!r} keeps its materialization intervals "
        f"although {', '.join(names)} changed: past rows are not written again; run a backfill of "
        f"{view!r}"
        for view, names in sorted(features.items())
    )


def _comparison_warnings(
    job: Job, current: RegistrySnapshot, desired: RegistrySnapshot, request: ApplyRequest
) -> tuple[str, ...]:
    """Warn of what this plan cannot compare, and of a registry that is not that of the models."""
    found = []
    known = {**request.closures, **current.closures}
    unknown = sorted(v for v in desired.closures if v not in known and current.view(v) is not None)
    if unknown and not KINDS[job.request.kind].writes_registry:
        found.append(
            f"{Doubt.CODE_UNKNOWN}: what the functions of these views call is not compared, "
            f"because their code at the last apply is not known here: {listed(unknown, 10)}"
        )
    used = {ref.view for model in guarded_models(request) for ref in model.refs}
    if used and current.has_views and not any(map(current.view, used)):
        found.append(
            f"{Doubt.VIEWS_MISSING}: the registry has none of the {len(used)} views that the "
            f"protected models use; check that it is their registry: {listed(sorted(used), 10)}"
        )
    return tuple(found)


def _new_column(change: Change) -> bool:
    return (
        change.kind in VIEW_KINDS
        and bool(change.feature)
        and change.change in (ChangeClass.TYPE_CHANGED, ChangeClass.CREATED)
    )
