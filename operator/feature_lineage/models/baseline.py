"""What a version is compared with: the registry at training time, else at first sight.

The choice is written on the version as tags, once, so that a deleted and recreated resource finds
the same baseline again.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from feature_lineage.features.history import SnapshotRecord, following, standing_at
from feature_lineage.models.facts import ModelVersion, TrainingRun

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
    recorded = recorded_baseline(version_tags)
    if recorded is not None:
        return recorded
    history = tuple(history)
    standing = standing_at(history, run.started_at if run is not None else version_created_at)
    if standing is None:
        return Baseline(current.digest, "FirstSight") if current is not None else None
    if run is None:
        return Baseline(standing.digest, "FirstSight")
    return _between_looks(history, standing, run.started_at)


def recorded_baseline(version_tags: Mapping[str, str]) -> Baseline | None:
    """The choice as it was written on the version; None where none was."""
    digest = version_tags.get(REGISTRY_DIGEST_TAG, "")
    if not _DIGEST.fullmatch(digest):
        return None
    trained = version_tags.get(BASELINE_FROM_TAG) == "Training"
    schema = version_tags.get(BASELINE_DIGEST_TAG, "")
    return Baseline(
        digest,
        "Training" if trained else "FirstSight",
        schema if _DIGEST.fullmatch(schema) else None,
    )


def _between_looks(
    history: tuple[SnapshotRecord, ...], standing: SnapshotRecord, started_at: datetime
) -> Baseline:
    """The registry of a run, which may have started between two looks at it.

    Our own applies are known to the moment. What somebody else applied is known from the look
    that found it: a run between that look and the one before may have had either.
    """
    later = following(history, standing)
    unseen = started_at > standing.last_seen
    if later is not None and not later.revision and unseen:
        return Baseline(later.digest, "FirstSight")
    if later is None and not standing.revision and unseen:
        return Baseline(standing.digest, "FirstSight")
    return Baseline(standing.digest, "Training")


def trained_at(version: ModelVersion, run: TrainingRun | None) -> datetime:
    """When a version was trained: its run's start, else its own creation."""
    return run.started_at if run is not None else version.created_at
