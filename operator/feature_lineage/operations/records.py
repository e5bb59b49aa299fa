"""The audit record of one operation: an MLflow run with Feast's own tags, params and metrics.

Built here as plain data; `tracking` makes it true in MLflow, converging to exactly one run per
operation id.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

OPERATION_ID_TAG: Final = "featurelineage.io/operation-id"
REGISTRY_DIGEST_TAG: Final = "featurelineage.io/registry-digest"
SNAPSHOT_ARTIFACT: Final = "registry_snapshot.json"
PLAN_ARTIFACT: Final = "plan.json"


@dataclass(frozen=True)
class OpsRun:
    """One operation as MLflow shall show it.

    Attributes:
        operation_id: the key it converges on, also a tag.
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
