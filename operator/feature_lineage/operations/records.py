"""The ops run of one operation: an MLflow run with Feast's own tags, params and metrics.

`ops_run_builder` builds these values from operations and reports; `tracking` writes them to MLflow,
converging to exactly one run per operation id.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from feature_lineage.api.enums import OperationKind
from feature_lineage.operations.job_report import ViewReport
from feature_lineage.operations.kinds import KINDS

OPERATION_TAG: Final = "featurelineage.io/operation"
OPERATION_ID_TAG: Final = "featurelineage.io/operation-id"
RESOURCE_TAG: Final = "featurelineage.io/resource"
REVISION_TAG: Final = "featurelineage.io/revision"
RESULT_TAG: Final = "featurelineage.io/result"
REASON_TAG: Final = "featurelineage.io/reason"
ATTEMPT_TAG: Final = "featurelineage.io/attempt"
REGISTRY_DIGEST_TAG: Final = "featurelineage.io/registry-digest"
PLAN_DIGEST_TAG: Final = "featurelineage.io/plan-digest"
OVERRIDE_TAG: Final = "featurelineage.io/override"
ERROR_TAG: Final = "featurelineage.io/error"
FAILED_VIEWS_TAG: Final = "featurelineage.io/failed-views"
SNAPSHOT_ARTIFACT: Final = "registry_snapshot.json"
PLAN_ARTIFACT: Final = "plan.json"
VIEWS_ARTIFACT: Final = "views.json"
ERROR_ARTIFACT: Final = "error.txt"
PIECE: Final = 4000
"""Characters of a piece of a text in tags: what an MLflow server of any age accepts."""


@dataclass(frozen=True)
class OpsRun:
    """The MLflow run of one operation.

    Attributes:
        operation_id: the unique key, also a tag.
        experiment: experiment name, ``<project>-feast-ops``.
        name: run name.
        started_at, ended_at: aware.
        status: MLflow run status.
        tags, params: strings.
        metrics: numbers.
        artifacts: path → text.
    """

    operation_id: str
    experiment: str
    name: str
    started_at: datetime
    ended_at: datetime
    status: Literal["FINISHED", "FAILED"]
    tags: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    artifacts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Operation:
    """An operation as the operator recorded it, independent of a job report.

    Attributes:
        id, kind, project: identity of the operation.
        resource: ``namespace/name`` of the FeatureStoreProject.
        revision: commit or digest; "" if it has none.
        started_at, ended_at: as the operator observed it (aware); a report is more precise.
        attempt: 1 is the first.
        override: the annotation that allowed it and the user's reason, "" without one.
        incremental: materialize: from each view's last interval on.
        snapshot_on_record: an earlier run of this project holds the same snapshot already.
        succeeded: whether it succeeded; used without a report.
        reason, message, output_tail: how it ended; used without a report.
        views: its results; used without a report.
    """

    id: str
    kind: OperationKind
    project: str
    resource: str
    started_at: datetime
    ended_at: datetime
    revision: str = ""
    attempt: int = 1
    override: str = ""
    incremental: bool = False
    snapshot_on_record: bool = False
    succeeded: bool = False
    reason: str = ""
    message: str = ""
    output_tail: str = ""
    views: tuple[ViewReport, ...] = ()

    @property
    def feast_name(self) -> str:
        """The operation as Feast records it; "" if Feast has no name for it."""
        traits = KINDS[self.kind]
        if traits.materializes and self.incremental:
            return f"{traits.feast_name}_incremental"
        return traits.feast_name

    @property
    def command(self) -> str:
        """The operation as the job protocol names it."""
        return KINDS[self.kind].command


def in_pieces(key: str, text: str) -> dict[str, str]:
    """A long text in ASCII as tags ``key-0000``, ``key-0001``, …; the inverse of `joined`."""
    starts = range(0, len(text), PIECE)
    return {f"{key}-{n:04}": text[start : start + PIECE] for n, start in enumerate(starts)}


def joined(key: str, tags: Mapping[str, str]) -> str:
    """The text of the tags that `in_pieces` made; "" without any. A missing piece is not seen."""
    return "".join(tags[each] for each in sorted(tags) if each.startswith(f"{key}-"))
