"""What MLflow knows, as far as lineage needs it: plain values, read by `tracking`, judged here.

Only ``feast.*`` and ``featurelineage.io/*`` tags are kept: ten thousand versions stay small.
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
        features_artifact: references of its ``feast_features.json``, ``None`` when there is none
            or nobody needed it.
    """

    run_id: str
    started_at: datetime
    deleted: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    features_artifact: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One registered model version.

    Its identity is (name, version, created_at): a model deleted and created anew restarts at 1.

    Attributes:
        name: registered model.
        version: number, as MLflow spells it.
        created_at: aware.
        source: ``runs:/…``, ``models:/m-…``, ``models:/name/3`` or a storage URI.
        run_id: the training run, resolved through `source` when the version itself names none.
        model_id: LoggedModel id (``m-…``) or "".
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
    """One reading of an MLflow server's model registry.

    Attributes:
        read_at: when the whole of it was last read: the age of the oldest fact in it.
        versions: by model, then by version.
        runs: training runs by id, as far as versions name them.
    """

    read_at: datetime
    versions: Mapping[str, Mapping[str, ModelVersion]]
    runs: Mapping[str, TrainingRun]

    def version(self, name: str, version: str) -> ModelVersion | None:
        return self.versions.get(name, {}).get(version)

    def by_alias(self, name: str, alias: str) -> ModelVersion | None:
        """The version an alias points to; a model has each alias at most once."""
        for version in self.versions.get(name, {}).values():
            if alias in version.aliases:
                return version
        return None

    def run_of(self, version: ModelVersion) -> TrainingRun | None:
        return self.runs.get(version.run_id) if version.run_id else None
