"""Chooses the registry snapshot that a version is compared with: at training, else at first sight.

The choice is written once, as tags of the version, so that a resource that is deleted and created
again finds the same baseline.
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
        frm: Training: the registry at the start of the training run; FirstSight: as first seen.
        schema_digest: of the version's feature definitions in it; None if not recorded.
        revision: that the operator had applied at training time; "" if another tool had changed
            the registry, or if the baseline is not that of training.
    """

    digest: str
    frm: BaselineFrom
    schema_digest: str | None = None
    revision: str = ""


def choose_baseline(
    version_tags: Mapping[str, str],
    run: TrainingRun | None,
    version_created_at: datetime,
    history: Iterable[SnapshotRecord],
    current: SnapshotRecord | None,
) -> Baseline | None:
    """The snapshot that a version is compared with; None while no registry was read.

    Without the run, the time of training is unknown: the registry at the creation of the version
    is then a first sight.

    Args:
        version_tags: of the model version; invalid digests are ignored.
        run: the training run; None if there is none.
        version_created_at: aware.
        history: the registry's timeline, in any order.
        current: the current snapshot; None if no registry was read.
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
    return _at_training(history, standing, run.started_at)


def recorded_baseline(version_tags: Mapping[str, str]) -> Baseline | None:
    """The baseline recorded in the tags of the version; None if there is none."""
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


def _at_training(
    history: tuple[SnapshotRecord, ...], standing: SnapshotRecord, started_at: datetime
) -> Baseline:
    """The baseline of a run that may have started between two observations of the registry.

    The time of the operator's own applies is exact. A change by others is known only from the
    observation that found it: a run between two observations may have used either state.
    """
    later = following(history, standing)
    unseen = started_at > standing.last_seen
    if later is not None and not later.revision and unseen:
        return Baseline(later.digest, "FirstSight")
    if later is None and not standing.revision and unseen:
        return Baseline(standing.digest, "FirstSight")
    return Baseline(standing.digest, "Training", revision=standing.revision)


def trained_at(version: ModelVersion, run: TrainingRun | None) -> datetime:
    """When a version was trained: the start of its run, else the creation of the version."""
    return run.started_at if run is not None else version.created_at
