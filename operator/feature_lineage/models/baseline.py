"""What a version is compared with: the registry at training time, else at first sight.

The choice is written on the version as tags, once, so that a deleted and recreated resource finds
the same baseline again.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from feature_lineage.features.history import SnapshotRecord, standing_at
from feature_lineage.models.facts import TrainingRun

REGISTRY_DIGEST_TAG: Final = "featurelineage.io/registry-digest"
BASELINE_DIGEST_TAG: Final = "featurelineage.io/baseline-digest"
BASELINE_FROM_TAG: Final = "featurelineage.io/baseline-from"

BaselineFrom = Literal["Training", "FirstSight"]

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Baseline:
    """The registry snapshot that a version is compared with.

    Attributes:
        digest: of the `RegistrySnapshot`.
        frm: the registry as it stood when the training run started, or as first seen.
        schema_digest: of the version's definitions in it, where it was recorded.
    """

    digest: str
    frm: BaselineFrom
    schema_digest: str | None = None


def choose_baseline(
    version_tags: Mapping[str, str],
    run: TrainingRun | None,
    version_created_at: datetime,
    history: Iterable[SnapshotRecord],
    current: SnapshotRecord | None,
) -> Baseline | None:
    """Which snapshot a version is compared with; ``None`` while no registry was seen.

    Without its run the moment of training is not known: the registry as it stood when the version
    was created is then the earliest sight of it, and not more.

    Args:
        version_tags: of the model version; what is no digest in them is ignored.
        run: the training run, where there is one.
        version_created_at: aware.
        history: when which snapshot stood, in any order.
        current: the snapshot of now.
    """
    recorded = version_tags.get(REGISTRY_DIGEST_TAG, "")
    if _DIGEST.fullmatch(recorded):
        trained = version_tags.get(BASELINE_FROM_TAG) == "Training"
        schema = version_tags.get(BASELINE_DIGEST_TAG, "")
        return Baseline(
            recorded,
            "Training" if trained else "FirstSight",
            schema if _DIGEST.fullmatch(schema) else None,
        )
    standing = standing_at(history, run.started_at if run is not None else version_created_at)
    if standing is not None:
        return Baseline(standing.digest, "Training" if run is not None else "FirstSight")
    return Baseline(current.digest, "FirstSight") if current is not None else None
