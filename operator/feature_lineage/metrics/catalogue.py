"""Every metric: name, type, labels, meaning, and what to do.

The collector, the instruments and `docs/metrics.md` use this one list. The help text names the next
step, because on-call engineers read it in a query builder.
"""

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class MetricDefinition:
    """One metric.

    Attributes:
        name: as it is exposed, ``_total`` included.
        labels: in the order in which values are given.
        help: what it means and what to do with it.
    """

    name: str
    type: Literal["gauge", "counter", "histogram"]
    labels: tuple[str, ...]
    help: str


PROJECT: Final = ("namespace", "name", "project")
VIEW: Final = (*PROJECT, "feature_view")
MODEL: Final = ("namespace", "name", "model", "alias")
OWNERS: Final = ("model_owner", "service_owner", "view_owners")
MODEL_PROJECT: Final = ("project_namespace", "project_name", "project")
CONDITION: Final = ("kind", "namespace", "name", "type")


def _gauge(name: str, labels: tuple[str, ...], text: str) -> MetricDefinition:
    return MetricDefinition(name, "gauge", labels, text)


GAUGES: Final = (
    _gauge(
        "feast_feature_freshness_seconds",
        VIEW,
        "Seconds since the end of the newest materialized window, as Feast measures it. "
        "Absent while never materialized: see feature_lineage_feature_view_never_materialized. "
        "A window that ends in the future does not count.",
    ),
    _gauge(
        "feature_lineage_feature_view_never_materialized",
        VIEW,
        "1 while a view that is served online was never materialized, else 0. "
        "Add it to a schedule or a backfill of the project.",
    ),
    _gauge(
        "feature_lineage_feature_view_stale",
        VIEW,
        "1 while a view misses its freshness objective or was never materialized, else 0. Also 1 "
        "while Feast does not serve it because a job died or another tool materializes it, or "
        "because its rows are in another online store, with or without an objective. "
        "Absent without an objective, or while the last registry read is too old to decide.",
    ),
    _gauge(
        "feature_lineage_feature_view_max_age_seconds",
        VIEW,
        "Freshness objective of a view; compare feast_feature_freshness_seconds with it.",
    ),
    _gauge(
        "feature_lineage_feature_view_rows",
        VIEW,
        "Rows of the last successful materialization, if the engine reports them. A sudden "
        "drop means that the source has lost rows.",
    ),
    _gauge(
        "feature_lineage_feature_view_consecutive_failures",
        VIEW,
        "Materializations of a view that failed since the last success. "
        "Above 0: read lastError in status.featureViews of the project.",
    ),
    _gauge(
        "feature_lineage_project_models",
        (*PROJECT, "state"),
        "Model versions linked to a project, and the broken ones among them: "
        "broken is a part of linked, so do not sum them.",
    ),
    _gauge(
        "feature_lineage_plan_blocked",
        PROJECT,
        "1 while protection stops the newest revision, else 0. "
        "Read status.plan: change the feature repo, or allow that plan by annotation.",
    ),
    _gauge(
        "feature_lineage_plan_blocked_since_timestamp_seconds",
        PROJECT,
        "Unix time since which protection has blocked revisions; absent while none is blocked.",
    ),
    _gauge(
        "feature_lineage_plan_impacts",
        PROJECT,
        "Protected model versions and feature services that the newest plan would break or "
        "change, or did if the plan was allowed.",
    ),
    _gauge(
        "feature_lineage_operation_in_progress",
        (*PROJECT, "kind"),
        "1 while an operation of this kind is in flight, also while it waits for its "
        "next attempt, else 0.",
    ),
    _gauge(
        "feature_lineage_operation_last_success_timestamp_seconds",
        (*PROJECT, "kind"),
        "Unix time of the last operation of this kind that succeeded, of those in "
        "status.operations. A job that only puts back the state of views is no Materialize.",
    ),
    _gauge(
        "feature_lineage_operations_unrecorded",
        PROJECT,
        "Finished operations that are not recorded in MLflow yet. They are retried: read the "
        "Recorded condition.",
    ),
    _gauge(
        "feature_lineage_mlflow_view_age_seconds",
        PROJECT,
        "Age of the oldest fact about models. Far above ten minutes: MLflow does not answer, "
        "and verdicts are that old.",
    ),
    _gauge(
        "feature_lineage_registry_snapshot_age_seconds",
        PROJECT,
        "Seconds since the Feast registry was last read by a job of this project.",
    ),
    _gauge(
        "feature_lineage_guard_age_seconds",
        PROJECT,
        "Age of the guard's MLflow facts. Above maxGuardAge of the project nothing is applied.",
    ),
    _gauge(
        "feature_lineage_schedule_next_timestamp_seconds",
        (*PROJECT, "schedule"),
        "Unix time of the next tick of a schedule. In the past: the project has not been "
        "reconciled since.",
    ),
    _gauge(
        "feature_lineage_model_info",
        (*MODEL, "version", "feature_service", "origin", *OWNERS, *MODEL_PROJECT),
        "Always 1. The version of a TrainedModel, the project it uses, and the owners; join it on "
        "(namespace, name).",
    ),
    _gauge(
        "feature_lineage_model_feature_view_info",
        (*MODEL, "version", "feature_service", "feature_view", *MODEL_PROJECT),
        "Always 1, for each view that feeds a model, directly or through another view. "
        "Join it with view metrics on (project_namespace, project_name, feature_view).",
    ),
    _gauge(
        "feature_lineage_model_verdict",
        (*MODEL, "verdict"),
        "1 for the verdict on a model's features, 0 for all others. Broken: serving the model "
        "fails or returns wrong features; read status.lineage.problems.",
    ),
    _gauge(
        "feature_lineage_model_verdict_since_timestamp_seconds",
        MODEL,
        "Unix time of the verdict's last change.",
    ),
    _gauge(
        "feature_lineage_model_problems",
        MODEL,
        "Differences between a model's features at training time and those that it is served.",
    ),
    _gauge(
        "feature_lineage_model_features_fresh",
        MODEL,
        "1 while every view that feeds a model meets its objective, 0 while one does not. "
        "Absent without an objective or while that is not known.",
    ),
    _gauge(
        "feature_lineage_model_serving",
        MODEL,
        "1 while the online store serves the features of a model, 0 while it does not: read "
        "status.serving. Absent without a probe or while that is not known.",
    ),
    _gauge(
        "feature_lineage_model_null_ratio",
        (*MODEL, "feature"),
        "Share of null values of a feature in the last answer of the online store, for keys that "
        "the store has. The 20 worst features of a model; compare with status.serving.",
    ),
    _gauge(
        "feature_lineage_model_skew_ratio",
        (*MODEL, "feature"),
        "Share of the compared values of a feature that differ from those of its source: of the "
        "feature with the largest share. Absent while none was compared.",
    ),
    _gauge(
        "feature_lineage_condition",
        (*CONDITION, "status", "reason"),
        "Always 1. Each condition of each resource: its status and reason. The message is in "
        "the resource's status.",
    ),
    _gauge(
        "feature_lineage_condition_last_transition_timestamp_seconds",
        CONDITION,
        "Unix time at which the status of a condition last changed.",
    ),
)
"""Computed at scrape time from the state of the resources: `collector`."""

INSTRUMENTS: Final = (
    MetricDefinition(
        "feast_materialization_result_total",
        "counter",
        (*VIEW, "status"),
        "Materializations per view, with each attempt; status is success or failure.",
    ),
    MetricDefinition(
        "feast_materialization_duration_seconds",
        "histogram",
        VIEW,
        "Duration of a view's materialization. Nearing the schedule's interval: split the views.",
    ),
    MetricDefinition(
        "feature_lineage_operations_total",
        "counter",
        (*PROJECT, "kind", "result"),
        "Operations that ended, by kind and result; retries are not counted separately. A job that "
        "only puts back the state of views is not counted.",
    ),
    MetricDefinition(
        "feature_lineage_reconcile_total",
        "counter",
        ("kind", "result"),
        "Reconciles of resources. transient and waiting are retried, terminal needs a user, "
        "crash is a defect of the operator: report it.",
    ),
    MetricDefinition(
        "feature_lineage_reconcile_duration_seconds",
        "histogram",
        ("kind",),
        "Duration of one reconcile, without waiting for jobs. High: MLflow or the API server is "
        "slow.",
    ),
    MetricDefinition(
        "feature_lineage_sink_errors_total",
        "counter",
        (),
        "Domain events that did not reach a sink, such as the log or Kubernetes Events. "
        "A traceback in the log is a defect of the operator: report it.",
    ),
    MetricDefinition(
        "feature_lineage_build_info",
        "gauge",
        ("version", "python_version"),
        "Always 1. The operator's version; more than one only during a roll-out.",
    ),
)
"""Counted in the process where the event occurs: `instruments`."""

HOST: Final = (
    _gauge(
        "feature_lineage_leader",
        (),
        "1 in the replica that is the leader, 0 in others. A sum of 0 for more than 15 s: there "
        "is no leader; read the Lease and the log of the replicas.",
    ),
    _gauge(
        "feature_lineage_queue_depth",
        (),
        "Resources that are due and wait for a worker. Growing: reconciles take too long for "
        "the number of workers; see feature_lineage_reconcile_duration_seconds.",
    ),
    _gauge(
        "feature_lineage_queue_failing",
        (),
        "Resources whose last reconcile failed and that wait for a retry; read the log.",
    ),
    MetricDefinition(
        "feature_lineage_events_unwritten_total",
        "counter",
        (),
        "Kubernetes Events that could not be written; status and log have the same facts.",
    ),
)
"""About the process of the cluster host itself: `process`."""

CATALOGUE: Final = (*GAUGES, *INSTRUMENTS, *HOST)
