"""Facts from MLflow that lineage needs, as plain values.

Only ``feast.*`` and ``featurelineage.io/*`` tags are kept: 10,000 versions stay small in memory.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """The run that trained a version.

    Attributes:
        run_id: MLflow's id.
        started_at: when it started (aware).
        deleted: soft-deleted in MLflow; its tags still count.
        tags: ``feast.*`` tags only.
        features_artifact: references in its ``feast_features.json``; None if the run has none or
            the artifact was not needed.
    """

    run_id: str
    started_at: datetime
    deleted: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    features_artifact: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One registered model version.

    Its identity is (name, version, created_at): a model that is deleted and created again restarts
    at version 1.

    Attributes:
        name: registered model.
        version: the number as MLflow writes it.
        created_at: aware.
        source: ``runs:/…``, ``models:/m-…``, ``models:/name/3`` or a storage URI.
        run_id: the training run, resolved through `source` where the version names none.
        model_id: LoggedModel id (``m-…``), or "".
        tags: ``feast.*`` and ``featurelineage.io/*`` tags only.
        aliases: sorted.
    """

    name: str
    version: str
    created_at: datetime
    source: str = ""
    run_id: str = ""
    model_id: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()

    @property
    def uri(self) -> str:
        return f"models:/{self.name}/{self.version}"


@dataclass(frozen=True)
class RegistryView:
    """The model registry of an MLflow server, as read at one time.

    Attributes:
        read_at: time of the last full read: no fact is older.
        versions: by model, then by version.
        runs: training runs that versions name, by id.
    """

    read_at: datetime
    versions: Mapping[str, Mapping[str, ModelVersion]]
    runs: Mapping[str, TrainingRun]

    def version(self, name: str, version: str) -> ModelVersion | None:
        return self.versions.get(name, {}).get(version)

    def by_alias(self, name: str, alias: str) -> ModelVersion | None:
        """The version that an alias points to; None if there is none."""
        for version in self.versions.get(name, {}).values():
            if alias in version.aliases:
                return version
        return None

    def run_of(self, version: ModelVersion) -> TrainingRun | None:
        return self.runs.get(version.run_id) if version.run_id else None
