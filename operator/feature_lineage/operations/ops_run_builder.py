"""Builds the MLflow run that records an operation, from the operation and its job's report.

Feast's keys have the names and types of Feast 0.67. This product's keys add resource, reason and
result. Unlike Feast, failed operations are recorded, too, with status FAILED and without the keys
of work that was not done.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Final

from feature_lineage.features.diff import Change, ChangeClass
from feature_lineage.features.snapshot import canonical_json, digest_of
from feature_lineage.operations.job_report import JobReport, Outcome, ViewReport
from feature_lineage.operations.kinds import KINDS
from feature_lineage.operations.past_operations import views_tags
from feature_lineage.operations.records import (
    ATTEMPT_TAG,
    ERROR_ARTIFACT,
    ERROR_TAG,
    FAILED_VIEWS_TAG,
    OPERATION_ID_TAG,
    OPERATION_TAG,
    OVERRIDE_TAG,
    PLAN_ARTIFACT,
    PLAN_DIGEST_TAG,
    REASON_TAG,
    REGISTRY_DIGEST_TAG,
    RESOURCE_TAG,
    RESULT_TAG,
    REVISION_TAG,
    SNAPSHOT_ARTIFACT,
    VIEWS_ARTIFACT,
    Operation,
    OpsRun,
)
from feature_lineage.shorten import one_line, visible

MAX_TAG: Final = 5000  # what an MLflow server of any age accepts
MAX_VIEW_METRICS: Final = 200  # the rest is in the artifact
_FEAST_LIMIT: Final = 4990
_FEAST_SLICE: Final = 4987
_FEAST_SECTIONS: Final = {
    "feature_views": ("feature_view", "stream_feature_view"),
    "feature_services": ("feature_service",),
    "entities": ("entity",),
}
_FEAST_OWN_ENTITY: Final = "__dummy"
_UNSAFE: Final = re.compile(r"[^\w\-. :]", re.ASCII)
_MAX_VIEW_IN_KEY: Final = 180  # MLflow accepts keys of up to 250 characters
_DONE: Final = frozenset({Outcome.SUCCEEDED, Outcome.PLANNED})


def ops_run(operation: Operation, report: JobReport | None, *, experiment_suffix: str) -> OpsRun:
    """The record of one finished operation.

    Args:
        operation: what the operator knows of it.
        report: the job's report; None if the job ended without one.
        experiment_suffix: ``mlflow.opsExperimentSuffix``.
    """
    done = report.outcome in _DONE if report is not None else operation.succeeded
    return OpsRun(
        operation_id=operation.id,
        experiment=f"{operation.project}{experiment_suffix}",
        name=f"{operation.feast_name or operation.command}_{operation.project}",
        started_at=report.started_at if report else operation.started_at,
        ended_at=report.finished_at if report else operation.ended_at,
        status="FINISHED" if done else "FAILED",
        tags={**_feast_tags(operation, report), **_own_tags(operation, report, done=done)},
        params=_feast_params(operation, report),
        metrics={**_feast_metrics(report), **_own_metrics(report)},
        artifacts=_artifacts(operation, report, done=done),
    )


def _feast_tags(operation: Operation, report: JobReport | None) -> dict[str, str]:
    tags = {"feast.project": operation.project}
    if operation.feast_name:
        tags["feast.operation"] = operation.feast_name
    for section, by_transition in _applied(report).items():
        names = sorted(name for names in by_transition.values() for name in names)
        lists = {"changed": names, **by_transition}
        tags |= {
            f"feast.{section}_{what}": _feast_list(members)
            for what, members in lists.items()
            if members
        }
    succeeded = [view.name for view in _touched(report) if view.result == "Succeeded"]
    if succeeded:
        tags["feast.materialize.feature_views"] = _feast_list(succeeded)
    return tags


def _feast_params(operation: Operation, report: JobReport | None) -> dict[str, str]:
    views = _touched(report)
    starts = [view.start for view in views if view.start is not None]
    ends = [view.end for view in views if view.end is not None]
    params: dict[str, str] = {}
    if starts and not operation.incremental:
        params["feast.materialize.start_date"] = min(starts).isoformat()
    if ends:
        params["feast.materialize.end_date"] = max(ends).isoformat()
    return params


def _feast_metrics(report: JobReport | None) -> dict[str, float]:
    metrics = {
        f"feast.apply.{section}_count": float(sum(len(names) for names in by_transition.values()))
        for section, by_transition in _applied(report).items()
    }
    if report is not None and KINDS[report.kind].materializes:
        seconds = sum(view.seconds or 0.0 for view in report.views)
        seconds = seconds or (report.finished_at - report.started_at).total_seconds()
        metrics["feast.materialize.duration_sec"] = round(seconds, 4)
    return _finite(metrics)


def _own_tags(operation: Operation, report: JobReport | None, *, done: bool) -> dict[str, str]:
    failed = sorted(view.name for view in _touched(report) if view.result != "Succeeded")
    tags = {
        OPERATION_TAG: operation.command,
        OPERATION_ID_TAG: operation.id,
        RESOURCE_TAG: operation.resource,
        REVISION_TAG: operation.revision or (report.revision if report else ""),
        ATTEMPT_TAG: str(operation.attempt),
        OVERRIDE_TAG: operation.override,
        RESULT_TAG: str(report.outcome if report else _result(operation)),
        REASON_TAG: (report.reason if report else "") or operation.reason,
        ERROR_TAG: "" if done else _message(operation, report),
        FAILED_VIEWS_TAG: ",".join(failed),
    }
    if report is not None and report.snapshot is not None:
        tags[REGISTRY_DIGEST_TAG] = report.snapshot.digest
    if report is not None and report.plan is not None:
        tags[PLAN_DIGEST_TAG] = report.plan.digest
    lines = {key: line for key, value in tags.items() if (line := _line(value))}
    return {**lines, **views_tags(_touched(report) if report else operation.views)}


def _result(operation: Operation) -> Outcome:
    return Outcome.SUCCEEDED if operation.succeeded else Outcome.FAILED


def _own_metrics(report: JobReport | None) -> dict[str, float]:
    """Rows and seconds per view; MLflow's page groups metrics by the prefix before the slash."""
    worst_first = sorted(_touched(report), key=lambda view: (view.result == "Succeeded", view.name))
    metrics: dict[str, float] = {}
    for view in worst_first[:MAX_VIEW_METRICS]:
        if view.rows is not None:
            metrics[_key("rows", view.name)] = float(view.rows)
        if view.seconds is not None:
            metrics[_key("seconds", view.name)] = round(view.seconds, 4)
    return _finite(metrics)


def _artifacts(operation: Operation, report: JobReport | None, *, done: bool) -> dict[str, str]:
    artifacts: dict[str, str] = {}
    if report is not None and report.snapshot is not None and not operation.snapshot_on_record:
        artifacts[SNAPSHOT_ARTIFACT] = report.snapshot.to_json()
    if report is not None and report.plan is not None:
        artifacts[PLAN_ARTIFACT] = canonical_json(asdict(report.plan))
    touched = _touched(report)
    if touched:
        artifacts[VIEWS_ARTIFACT] = canonical_json(
            # Keys of entities may be personal data: they stay in the namespace of the project.
            [view.model_dump(mode="json", exclude={"keys"}) for view in touched]
        )
    if not done:
        tail = (report.output_tail if report else "") or operation.output_tail
        parts = [_message(operation, report), *(report.warnings if report else ()), tail]
        artifacts[ERROR_ARTIFACT] = "\n\n".join(part for part in parts if part) + "\n"
    return artifacts


def _message(operation: Operation, report: JobReport | None) -> str:
    message = (report.message if report else "") or operation.message
    return message.strip() or "the job ended without a report"


def _touched(report: JobReport | None) -> tuple[ViewReport, ...]:
    return tuple(view for view in report.views if view.result) if report else ()


def _applied(report: JobReport | None) -> dict[str, dict[str, list[str]]]:
    """Section → created, updated, deleted → names, as Feast counts; nothing when not applied."""
    if report is None or not KINDS[report.kind].plans:
        return {}
    if report.outcome is not Outcome.SUCCEEDED or report.plan is None:
        return {}
    transitions = _transitions(report.plan.changes)
    return {
        section: {
            transition: sorted(
                name
                for (kind, name), happened in transitions.items()
                if kind in kinds and happened == transition and name != _FEAST_OWN_ENTITY
            )
            for transition in ("created", "updated", "deleted")
        }
        for section, kinds in _FEAST_SECTIONS.items()
    }


def _transitions(changes: Iterable[Change]) -> dict[tuple[str, str], str]:
    whole = {ChangeClass.CREATED: "created", ChangeClass.DELETED: "deleted"}
    found: dict[tuple[str, str], str] = {}
    for change in changes:
        if not change.feature and change.change in whole:
            found[change.kind, change.name] = whole[change.change]
        else:
            found.setdefault((change.kind, change.name), "updated")
    return found


def _feast_list(names: Iterable[str]) -> str:
    text = ",".join(names)
    return text if len(text) <= _FEAST_LIMIT else f"{text[:_FEAST_SLICE]}..."


def _key(what: str, view: str) -> str:
    safe = _UNSAFE.sub("_", view)[:_MAX_VIEW_IN_KEY].lstrip(".")
    if safe != view:
        safe += f"-{digest_of(view)[:8]}"
    return f"featurelineage.io/{what}/{safe}"


def _finite(metrics: Mapping[str, float]) -> dict[str, float]:
    """Finite values only: MLflow refuses NaN, which an untrusted report may contain."""
    return {key: value for key, value in metrics.items() if math.isfinite(value)}


def _line(text: str) -> str:
    return visible(one_line(text, MAX_TAG))[:MAX_TAG]
