"""Carries out the actions of a decision through the ports.

An error of an action does not fail the reconcile: it is part of the results, from which the status
is concluded.
"""

import logging
from dataclasses import replace

from feature_lineage.api import FeatureStoreProject
from feature_lineage.decide.decision import (
    Action,
    AnswerJob,
    CancelJob,
    DeleteTags,
    Record,
    RecordAliases,
    SetTags,
    StartJob,
)
from feature_lineage.decide.observed import Failure
from feature_lineage.decide.project.action_results import ActionResults
from feature_lineage.decide.project.history import ops_run_of, with_runs
from feature_lineage.errors import FeatureLineageError
from feature_lineage.operations.alias_history import AliasChange, alias_run
from feature_lineage.ports import Ports
from feature_lineage.reconcile.alias_log import place_of
from feature_lineage.reconcile.snapshot_cache import SnapshotCache

_log = logging.getLogger(__name__)


class Actions:
    """Carries out actions, one after another.

    Args:
        ports: the ports of the host.
        snapshots: the registry snapshots that the reconciler has read.
    """

    def __init__(self, ports: Ports, snapshots: SnapshotCache) -> None:
        self._ports = ports
        self._snapshots = snapshots

    async def perform_project_action(
        self, action: Action, project: FeatureStoreProject, results: ActionResults
    ) -> ActionResults:
        """Carry out one action; returns the results including this one."""
        try:
            if isinstance(action, StartJob):
                await self._ports.jobs.start(action.request, project)
            elif isinstance(action, CancelJob):
                await self._ports.jobs.cancel(action.job, project, action.why)
            elif isinstance(action, AnswerJob):
                await self._ports.jobs.answer(action.job, project, action.answer)
            elif isinstance(action, Record) and not results.failed:
                status = with_runs(project.status, results.recorded)
                shown = project.model_copy(update={"status": status})
                run = await self._record(action, shown)
                if run is not None:
                    recorded = {**results.recorded, action.operation_id: run}
                    return replace(results, recorded=recorded)
            elif isinstance(action, RecordAliases) and not results.failed:
                for change in action.changes:
                    await self._record_aliases(change, project)
                    results = replace(results, aliases=change.state)
        except FeatureLineageError as error:
            if isinstance(action, StartJob):
                failure = {action.request.operation_id: Failure.of(error)}
                return replace(results, not_started={**results.not_started, **failure})
            if isinstance(action, AnswerJob | CancelJob):
                what = "cancelled" if isinstance(action, CancelJob) else "given a newer guard"
                _log.warning("job %s is not %s yet: %s", action.job, what, error.message)
                return replace(results, not_told=Failure.of(error))
            return replace(results, not_recorded=Failure.of(error))
        return results

    async def perform_tag_action(
        self,
        action: Action,
        project: FeatureStoreProject | None,
        namespace: str,
        results: ActionResults,
    ) -> ActionResults:
        """Write or delete tags of a model version for a TrainedModel of this namespace.

        Returns:
            The results including this one.
        """
        if project is None:
            return results
        try:
            registry = await self._ports.registries.of(project, namespace)
            if registry is None:
                return results
            if isinstance(action, SetTags):
                await registry.set_version_tags(action.version, action.tags)
            elif isinstance(action, DeleteTags):
                await registry.delete_version_tags(action.version, action.keys)
        except FeatureLineageError as error:
            return replace(results, not_recorded=Failure.of(error))
        return results

    async def _record(self, action: Record, project: FeatureStoreProject) -> str | None:
        """Id of the ops run of an operation; None if nothing is recorded."""
        registry = await self._ports.registries.of(project)
        listed = next(
            (op for op in project.status.operations if op.id == action.operation_id), None
        )
        if registry is None or listed is None:
            return None
        job = await self._ports.jobs.state(listed.job, project) if listed.job else None
        if job is not None and job.report is not None and listed.registry_digest is not None:
            # The stored one, with the closures: a job that only read the registry reported none.
            kept = await self._snapshots.read(self._ports, project, None, {listed.registry_digest})
            snapshot = kept.get(listed.registry_digest, job.report.snapshot)
            job = replace(job, report=job.report.model_copy(update={"snapshot": snapshot}))
        return await registry.record(ops_run_of(project, listed, job))

    async def _record_aliases(self, change: AliasChange, project: FeatureStoreProject) -> None:
        place = place_of(project)
        run = alias_run(change, project.spec.project, place.resource, place.aliases)
        registry = await self._ports.registries.of(project)
        if registry is not None:
            await registry.record(run)
