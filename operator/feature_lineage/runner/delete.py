"""Deletes one project from a registry that may hold other projects.

Never `FeatureStore.teardown`, which wipes every project of the registry. Online tables go first:
if the job is killed in between, the registry still lists them for the next attempt.
"""

from typing import Any

from feast.infra.registry import sql
from sqlalchemy import create_engine
from sqlalchemy import delete as delete_rows

from feature_lineage.errors import TerminalError
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.operations.job_report import JobReport, Outcome
from feature_lineage.operations.protected_services import protected_services
from feature_lineage.operations.protection import protected_versions
from feature_lineage.operations.protocol import DeleteRequest
from feature_lineage.reasons import Reason
from feature_lineage.runner import commit, online
from feature_lineage.runner.canonical import SECTIONS, spec_of
from feature_lineage.runner.errors import SteppedBack
from feature_lineage.runner.job import Job, view_reports
from feature_lineage.runner.owner import check_owner, owner_of, services_record_of
from feature_lineage.runner.reader import Reading, registry_store, rows_of, views_of
from feature_lineage.shorten import listed


def delete(job: Job) -> JobReport:
    """Delete the project's online tables and registry objects; idempotent.

    Raises:
        SteppedBack: the guard is too old to decide whether models use the project, and the host
            sends no newer one.
    """
    request = job.request.delete or DeleteRequest()
    if request.adopted and request.adopted != job.settings.registry_id:
        raise TerminalError(
            f"the registry is not the one that {job.project!r} was applied to by this resource; "
            "point feature_store.yaml at that one, or set deletionPolicy to Retain",
            reason=Reason.PROJECT_OWNED_BY_OTHER,
        )
    before = job.read()
    current = job.snapshot(before)
    recorded = owner_of(before.proto, job.project)
    check_owner(job.request, recorded, current, "set deletionPolicy to Retain")
    users = _users(job, request)
    services = _services(request, current, services_record_of(before.proto, job.project))
    if (users or services) and not request.allow:
        return job.report(
            Outcome.BLOCKED,
            # The operator tries again when no model uses the project any more.
            reason=Reason.BLOCKED if users else Reason.DELETION_BLOCKED,
            message=_refusal(users, services),
            previous=current.objects_digest,
            snapshot=current,
            views=view_reports(before.proto, job.project),
        )
    with job.progress.phase("delete"):
        if before.exists:
            messages = [message for _, message in views_of(before.proto, job.project)]
            online.drop_tables(job.open_store(), messages)
            _remove_project(job, before)
        after = job.read()
    count = sum(len(named) for named in current.objects.values())
    return job.report(
        Outcome.SUCCEEDED,
        previous=current.objects_digest,
        snapshot=job.snapshot(after),
        counts={"created": 0, "updated": 0, "deleted": count},
    )


def _users(job: Job, request: DeleteRequest) -> tuple[str, ...]:
    """Protected model versions that use the project."""
    guard = job.request.enforced_guard
    if guard is None:
        return ()
    return protected_versions(job.current_guard(guard, request.max_guard_age_seconds))


def _services(
    request: DeleteRequest, current: RegistrySnapshot, record: str | None
) -> tuple[str, ...]:
    """Feature services of the project that are protected without a model."""
    if request.protection != "Enforce":
        return ()
    return protected_services(current, request.services, record)


def _refusal(users: tuple[str, ...], services: tuple[str, ...]) -> str:
    step = 'annotate featurelineage.io/allow-delete: "<why>"'
    of_models = f"protected model versions use this project: {listed(users, 10)}"
    of_services = f"feature services of this project are protected: {listed(services, 10)}"
    if not services:
        return f"{of_models}; move their aliases, or {step}"
    if not users:
        return f"{of_services}; to delete them, {step}"
    return f"{of_models}; {of_services}; to delete the project all the same, {step}"


def _remove_project(job: Job, before: Reading) -> None:
    """Remove the project from the registry atomically."""
    config = job.settings.config
    kind = job.settings.registry_type
    if kind == "sql":
        _delete_rows(config.registry, job.project, owner_of(before.proto, job.project))
    elif kind == "file" or config.registry.registry_store_type is not None:
        proto = type(before.proto)()
        proto.CopyFrom(before.proto)
        if _strip(proto, job.project):
            commit.publish(proto, registry_store(config, job.repo), before)
    else:
        job.open_store().registry.delete_project(job.project)


def _delete_rows(registry: Any, project: str, owner: str) -> None:
    """Delete every row of the project in one transaction; Feast omits the version history.

    Raises:
        SteppedBack: the owner record has changed since it was read.
    """
    engine = create_engine(registry.path, **registry.sqlalchemy_config_kwargs)
    try:
        with engine.begin() as connection:
            commit.lock_tables(connection)
            if owner_of(rows_of(connection, project), project) != owner:
                raise SteppedBack(commit.REGISTRY_CHANGED)
            for table in sql.metadata.sorted_tables:
                connection.execute(delete_rows(table).where(table.c.project_id == project))
    finally:
        engine.dispose()


def _strip(proto: Any, project: str) -> bool:
    """Remove the project's messages; return whether any existed."""
    found = False
    for field in SECTIONS:
        found |= _keep(getattr(proto, field), lambda m: spec_of(m).project != project)
    found |= _keep(proto.projects, lambda m: m.spec.name != project)
    found |= _keep(proto.project_metadata, lambda m: m.project != project)
    history = proto.feature_view_version_history.records
    return found | _keep(history, lambda record: record.project_id != project)


def _keep(messages: Any, keep: Any) -> bool:
    kept = [message for message in messages if keep(message)]
    if len(kept) == len(messages):
        return False
    del messages[:]
    messages.extend(kept)
    return True
