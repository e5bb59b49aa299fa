"""Builds the request of a job from an operation."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

from feature_lineage.api.annotations import override
from feature_lineage.api.enums import ApplyMode, OperationKind, OverrideKind, ProtectionMode, Result
from feature_lineage.api.operation_status import OperationStatus
from feature_lineage.api.project_spec import FeatureStoreProjectSpec
from feature_lineage.api.project_status import FeatureStoreProjectStatus
from feature_lineage.decide.facts import SourceFacts
from feature_lineage.decide.observed import ObservedProject
from feature_lineage.decide.project.probing import probe_request
from feature_lineage.decide.project.suspects import (
    last_views,
    skipped_views,
    to_put_back,
    tried_with,
)
from feature_lineage.features.snapshot import RegistrySnapshot, digest_of
from feature_lineage.operations.identity import owner_id
from feature_lineage.operations.kinds import KINDS, RequestPart
from feature_lineage.operations.probe_record import ProbeRecord
from feature_lineage.operations.protected_services import protected_services
from feature_lineage.operations.protocol import (
    ApplyRequest,
    DeleteRequest,
    JobRequest,
    MaterializeRequest,
    ObserveRequest,
    PlanOverride,
    ViewWindow,
)
from feature_lineage.operations.serving import question_of
from feature_lineage.reasons import Reason


def job_request(
    observed: ObservedProject,
    status: FeatureStoreProjectStatus,
    snapshot: RegistrySnapshot | None,
    operation: OperationStatus,
    probe: ProbeRecord | None = None,
) -> JobRequest:
    """The request of the job of this attempt of the operation.

    Args:
        observed: the observation of the reconcile that starts the job, which has the newest guard.
        status: the status that is written before the job starts.
        snapshot: the registry in the status; None if it is not known.
        probe: the record of `status.probe`; None if it is not known.
    """
    spec = observed.resource.spec
    source = observed.source if isinstance(observed.source, SourceFacts) else None
    part, metadata = KINDS[operation.kind].request, observed.resource.metadata
    return JobRequest(
        protocol=2 if _protects_services(spec, snapshot, part) else 1,
        operation_id=operation.job,
        kind=operation.kind,
        project=spec.project,
        repo="",
        revision=operation.revision or "",
        feature_store_yaml=source.feature_store_yaml if source else None,
        deadline_seconds=_timeout(spec, operation),
        owner=owner_id(metadata.namespace, metadata.name) if _owns(spec, operation) else "",
        refused=was_refused(status),
        put_back=to_put_back(spec, status)
        if part in (RequestPart.APPLY, RequestPart.MATERIALIZE)
        else {},
        apply=apply_request(observed, status, snapshot) if part is RequestPart.APPLY else None,
        materialize=_materialize(spec, status, snapshot, operation)
        if part is RequestPart.MATERIALIZE
        else None,
        delete=_delete(observed) if part is RequestPart.DELETE else None,
        observe=_observe(observed) if part is RequestPart.OBSERVE else None,
        probe=probe_request(observed, snapshot, probe) if part is RequestPart.PROBE else None,
    )


def _protects_services(
    spec: FeatureStoreProjectSpec, snapshot: RegistrySnapshot | None, part: RequestPart
) -> bool:
    """Whether the job must not change the registry, or plan, without the protected services."""
    if part not in (RequestPart.APPLY, RequestPart.DELETE):
        return False
    protection = spec.apply.protection
    if protection.mode is ProtectionMode.OFF:
        return False
    known = snapshot is not None and protected_services(snapshot, protection.services)
    return protection.services is not None or bool(known)


def _owns(spec: FeatureStoreProjectSpec, operation: OperationStatus) -> bool:
    """Whether the job changes only a project that this resource applies.

    In mode Observe another tool applies, and the resource materializes what that tool applied.
    """
    return spec.apply.mode is not ApplyMode.OBSERVE or not KINDS[operation.kind].materializes


def was_refused(status: FeatureStoreProjectStatus) -> bool:
    """Whether the last apply found a registry that belongs to another resource."""
    last = status.last_apply
    return last is not None and last.reason == Reason.PROJECT_OWNED_BY_OTHER


def _timeout(spec: FeatureStoreProjectSpec, operation: OperationStatus) -> float:
    for schedule in spec.schedules:
        if schedule.name == operation.schedule and schedule.timeout is not None:
            return schedule.timeout.total_seconds()
    return spec.runtime.timeout.total_seconds()


def apply_request(
    observed: ObservedProject,
    status: FeatureStoreProjectStatus,
    snapshot: RegistrySnapshot | None,
) -> ApplyRequest:
    """What an apply of the newest revision may do, by policy, guard and annotations."""
    spec = observed.resource.spec
    protection = spec.apply.protection
    guarded = protection.mode is not ProtectionMode.OFF and observed.models is not None
    return ApplyRequest(
        prune=spec.apply.prune,
        adopted=_adopted(spec, status),
        guard=observed.models.guard if guarded and observed.models else None,
        max_guard_age_seconds=protection.max_guard_age.total_seconds(),
        protection=protection.mode.value,
        block_on=tuple(harm.value for harm in protection.block_on),
        on_unknown=protection.on_unknown.value,
        allow_breaking=_override(observed, OverrideKind.ALLOW_BREAKING),
        allow_adoption=_override(observed, OverrideKind.ALLOW_ADOPTION),
        services=protection.services,
        closures=dict(snapshot.closures) if snapshot else {},
        last_views=tuple(sorted(name for _, name, _ in snapshot.views())) if snapshot else (),
        online_store=(status.registry.online_store if status.registry else None) or "",
    )


def _adopted(spec: FeatureStoreProjectSpec, status: FeatureStoreProjectStatus) -> str | None:
    """The registry whose objects this resource applied.

    This is not always `status.registry`, which may only have been read, or refused.
    """
    return None if spec.apply.mode is not ApplyMode.AUTO else own_registry(spec, status)


def own_registry(spec: FeatureStoreProjectSpec, status: FeatureStoreProjectStatus) -> str:
    """Id of the registry to which this resource applied its project; "" if it never did."""
    applied = status.applied
    return (applied.registry_id or "") if applied and applied.project == spec.project else ""


def _override(observed: ObservedProject, kind: OverrideKind) -> PlanOverride | None:
    given = override(observed.resource.metadata.annotations, kind)
    return None if given is None else PlanOverride(plan_digest=given.plan_digest, why=given.why)


def _materialize(
    spec: FeatureStoreProjectSpec,
    status: FeatureStoreProjectStatus,
    snapshot: RegistrySnapshot | None,
    operation: OperationStatus,
) -> MaterializeRequest:
    failed = (view.name for view in operation.views if view.result is Result.FAILED)
    order: dict[str, Any] = {
        "last": tuple(sorted({*last_views(status), *failed})),
        "skip": skipped_views(status, tried_with(spec, snapshot)),
        "written_to": {v.name: v.written_to for v in status.feature_views if v.written_to},
        "untrusted": {v.name: v.future_until for v in status.feature_views if v.future_until},
        "fill": operation.kind is OperationKind.MATERIALIZE,
        "sampled_keys": spec.probe_keys,
    }
    pending = tuple(view for view in operation.views if view.result is not Result.SUCCEEDED)
    if operation.views:
        views = tuple(
            ViewWindow(name=view.name, start=view.start, end=view.end)
            for view in pending
            if view.end is not None
        )
        return MaterializeRequest(views=(*views, *_left_out(spec, operation)), **order)
    return MaterializeRequest(
        all_views_start=operation.window_start, all_views_end=operation.window_end, **order
    )


def _left_out(spec: FeatureStoreProjectSpec, operation: OperationStatus) -> Iterator[ViewWindow]:
    """The views of a schedule or backfill that did not fit into the status."""
    if operation.views_total is None or operation.window_end is None:
        return
    listed = {view.name for view in operation.views}
    names = [
        *(each.views for each in spec.schedules if each.name == operation.schedule),
        *(each.views for each in spec.backfills if each.name == operation.backfill),
    ]
    for name in chain.from_iterable(names):
        if name not in listed:
            yield ViewWindow(name=name, start=operation.window_start, end=operation.window_end)


def _delete(observed: ObservedProject) -> DeleteRequest:
    allowed = override(observed.resource.metadata.annotations, OverrideKind.ALLOW_DELETE)
    protection = observed.resource.spec.apply.protection
    return DeleteRequest(
        guard=observed.models.guard if observed.models else None,
        max_guard_age_seconds=protection.max_guard_age.total_seconds(),
        protection=protection.mode.value,
        services=protection.services,
        allow=allowed.why if allowed else None,
        adopted=own_registry(observed.resource.spec, observed.resource.status),
    )


def _observe(observed: ObservedProject) -> ObserveRequest:
    off = observed.resource.spec.apply.protection.mode is ProtectionMode.OFF
    guard = observed.models.guard if observed.models and not off else None
    models = guard.models if guard is not None else ()
    return ObserveRequest(questions=tuple(dict.fromkeys(map(question_of, models))))


def inputs_digest(observed: ObservedProject) -> str:
    """Digest of all inputs of an apply except the facts about models; a new one is a new apply."""
    spec = observed.resource.spec
    source = observed.source if isinstance(observed.source, SourceFacts) else None
    annotations = observed.resource.metadata.annotations
    return digest_of(
        {
            "revision": source.revision if source else "",
            "featureStoreYaml": digest_of(source.feature_store_yaml) if source else "",
            "project": spec.project,
            "source": spec.source.model_copy(update={"poll_interval": None}).as_dict()
            if spec.source
            else None,
            "apply": spec.apply.as_dict(),
            "runtime": spec.runtime.as_dict(),
            "deletion": observed.deleted,
            "elders": [],  # of an earlier version; without it, an upgrade would apply all again
            "overrides": {
                kind: annotations.get(f"featurelineage.io/{kind}") for kind in OverrideKind
            },
        }
    )
