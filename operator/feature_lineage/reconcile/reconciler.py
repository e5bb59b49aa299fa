"""One reconcile: observe, decide, write the status, act, write the results.

Both hosts run this code. The order matters: a snapshot is stored before a status names it, the
intent to start a job is written before the job starts, and a job is released only when its report
is not needed any more.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from feature_lineage.api import FeatureStoreProject, TrainedModel
from feature_lineage.api.model_status import TrainedModelStatus
from feature_lineage.decide.decision import Decision, Keep, KeepProbe
from feature_lineage.decide.facts import Key, key_of
from feature_lineage.decide.model.decide import decide_model
from feature_lineage.decide.model.no_op import no_op_until
from feature_lineage.decide.model.serving import probed
from feature_lineage.decide.observed import ModelFacts, ObservedModel
from feature_lineage.decide.project.action_results import (
    RETRY_START,
    ActionResults,
    conclude,
    conclude_model,
)
from feature_lineage.decide.project.decide import decide
from feature_lineage.decide.project.history import needed_jobs, records_operations
from feature_lineage.errors import FeatureLineageError
from feature_lineage.features.history import SnapshotRecord
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.large_parses import NeedsTurn
from feature_lineage.operations.feature_shares import FeatureShare, feature_shares
from feature_lineage.ports import Ports, ResourceT
from feature_lineage.reconcile.actions import Actions
from feature_lineage.reconcile.cache import ReconcileCache
from feature_lineage.reconcile.observe_model import observe_model
from feature_lineage.reconcile.observe_project import observe_project
from feature_lineage.reconcile.sinks.registered import emit, registered
from feature_lineage.reconcile.unchanged import NoOpReconcile, model_inputs

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReconcileResult:
    """The result of one reconcile, for a host.

    Attributes:
        resource: the resource with the written status.
        requeue_at: latest time of the next reconcile; None: only when something changes.
        requeue: an action was done: reconcile again immediately.
        wrote: the status changed.
        finished: the resource is deleted and no work is left for it.
        sink_errors: number of domain events that did not reach a sink.
    """

    resource: FeatureStoreProject | TrainedModel
    requeue_at: datetime | None
    requeue: bool = False
    wrote: bool = False
    finished: bool = False
    sink_errors: int = 0


class Reconciler:
    """Reconciles resources through the ports; has no state that a restart would lose.

    Args:
        ports: the ports of the host.
        may_act: checked before each action; False if another process may be the leader.
    """

    def __init__(self, ports: Ports, may_act: Callable[[], bool] = lambda: True) -> None:
        self.ports = ports
        self._sinks = registered(ports)
        self._may_act = may_act
        self._memory = ReconcileCache()
        self._actions = Actions(ports, self._memory.snapshots)
        self._no_ops: dict[Key, NoOpReconcile] = {}

    def now(self) -> datetime:
        """The current time, from the clock of the decisions."""
        return self.ports.clock.now()

    def forget(self, key: Key) -> None:
        """Remove all data about a deleted resource."""
        self._memory.forget(key)
        self._no_ops.pop(key, None)

    def facts_of(
        self, project: FeatureStoreProject
    ) -> tuple[RegistrySnapshot | None, ModelFacts | None]:
        """The registry and the MLflow facts of the last reconcile of a project."""
        digest = project.status.registry.digest if project.status.registry else None
        remembered = self._memory.facts.get(key_of(project))
        return self._memory.snapshots.get(digest or ""), remembered.facts if remembered else None

    @property
    def cache(self) -> ReconcileCache:
        """What the reconciles know, for who answers questions about it."""
        return self._memory

    @property
    def shares(self) -> Mapping[tuple[str, str], tuple[FeatureShare, ...]]:
        """Of each probed model by namespace and name, its features in the last answer."""
        return self._memory.shares

    async def reconcile_project(
        self, project: FeatureStoreProject, *, requested: bool = False
    ) -> ReconcileResult:
        """Reconcile a project once.

        Args:
            requested: a reconcile was requested, so back-off is ignored.
        """
        observed = await observe_project(self.ports, self._memory, project, requested=requested)
        decision = decide(observed)
        for keep in decision.before:
            await self._keep(project, keep)
        written = await self._write(project, decision.status)
        results = ActionResults()
        for action in decision.after:
            if not self._may_act():
                return self._given_up(project, written, decision)
            try:
                results = await self._actions.perform_project_action(action, written, results)
            except NeedsTurn:  # the next pass finds the written status, and has no event of it
                await emit(self._sinks, decision.events)
                raise
        concluded = conclude(observed, written.status, results, self.ports.clock.now())
        final = await self._write(written, concluded.status)
        sink_errors = await emit(self._sinks, (*decision.events, *concluded.events))
        await self._forget(project, final)
        acted = bool(decision.after) and not results.failed
        return ReconcileResult(
            final,
            self._requeue_at(decision, results),
            # The conditions name a job that could not be started now, not at the next attempt.
            requeue=acted or bool(decision.before) or bool(results.not_started),
            wrote=final.status != project.status,
            finished=decision.finished,
            sink_errors=sink_errors,
        )

    async def reconcile_model(self, model: TrainedModel) -> ReconcileResult:
        """Reconcile a model once; nothing is done if nothing has changed since the last time."""
        inputs = await model_inputs(self.ports, model)
        no_op = self._no_ops.get(key_of(model))
        if no_op is not None and no_op.holds(inputs, self.now()):
            return ReconcileResult(model, no_op.until)
        observed = await observe_model(self.ports, self._memory, model, inputs)
        decision = decide_model(observed)
        self._remember_shares(observed, decision.status)
        written = await self._write(model, decision.status)
        results = ActionResults()
        for action in decision.after:
            if not self._may_act():
                return self._given_up(model, written, decision)
            results = await self._actions.perform_tag_action(
                action, observed.project, model.metadata.namespace, results
            )
        now = self.ports.clock.now()
        status, told = conclude_model(model, written.status, results, now)
        written = await self._write(written, status)
        sink_errors = await emit(self._sinks, (*decision.events, *told))
        self._no_ops.pop(key_of(model), None)
        until = no_op_until(observed, written, decision, self.now())
        if until is not None:
            self._no_ops[key_of(model)] = NoOpReconcile(inputs.kept(written), until)
        return ReconcileResult(
            written,
            until or self._requeue_at(decision, results),
            requeue=bool(decision.after) and not results.failed,
            wrote=written.status != model.status,
            finished=decision.finished,
            sink_errors=sink_errors,
        )

    def _remember_shares(self, observed: ObservedModel, status: TrainedModelStatus) -> None:
        metadata = observed.resource.metadata
        name, known = (metadata.namespace, metadata.name), probed(observed, observed.linked)
        if status.serving is None:
            self._memory.shares.pop(name, None)
        elif known is not None:
            self._memory.shares[name] = feature_shares(known.answer)

    def _given_up(
        self, before: ResourceT, written: ResourceT, decision: Decision[Any]
    ) -> ReconcileResult:
        """The result if the process may not act any more; its successor finds the intent."""
        soon = self.ports.clock.now() + RETRY_START
        requeue_at = min(soon, decision.requeue_at) if decision.requeue_at else soon
        return ReconcileResult(written, requeue_at, wrote=written.status != before.status)

    async def _write(self, resource: ResourceT, status: object) -> ResourceT:
        if resource.status == status:
            return resource
        changed = resource.model_copy(update={"status": status})
        return await self.ports.resources.save(changed)

    async def _keep(self, project: FeatureStoreProject, keep: Keep) -> None:
        if isinstance(keep, KeepProbe):
            # Without a stored record, the next process probes again: no reason to hold an apply.
            self._memory.probes.keep(key_of(project), keep.record)
            try:
                await self.ports.probes.keep(key_of(project), keep.record)
            except FeatureLineageError as error:
                _log.warning("%s: the probe is not kept: %s", key_of(project), error.message)
            return
        record = SnapshotRecord(keep.at, keep.snapshot.digest, keep.revision)
        await self.ports.snapshots.put(key_of(project), keep.snapshot, record)

    async def _forget(self, before: FeatureStoreProject, after: FeatureStoreProject) -> None:
        """Release the jobs whose report is not needed any more.

        The jobs that were needed are remembered: a spec that records no more operations, or a
        failed release, is not visible in the status. After a restart the host releases such jobs.
        """
        key = key_of(after)
        needed = needed_jobs(after.status, recorded=records_operations(after.spec))
        known = needed_jobs(before.status, recorded=records_operations(before.spec))
        left = set()
        for job in sorted((known | self._memory.jobs.get(key, frozenset())) - needed):
            try:
                await self.ports.jobs.release(job, after)
            except FeatureLineageError as error:
                _log.warning("job %s of %s will be released later: %s", job, key, error.message)
                left.add(job)
        self._memory.jobs[key] = needed | left

    def _requeue_at(self, decision: Decision[Any], results: ActionResults) -> datetime | None:
        if not results.failed:
            return decision.requeue_at
        soon = self.ports.clock.now() + results.retry_after
        return min(soon, decision.requeue_at) if decision.requeue_at else soon
