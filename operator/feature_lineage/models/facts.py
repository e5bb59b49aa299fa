"""Facts from MLflow that lineage needs, as plain values.

Only ``feast.*`` and ``featurelineage.io/*`` tags are kept: 10,000 versions stay small in memory.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

MANY: Final = 3
"""The largest number of retrievals that is told apart: three stands for three or more."""


@dataclass(frozen=True, slots=True)
class LoggedModel:
    """A model as MLflow 3 logs it: with the metrics that its run had at that moment.

    Attributes:
        run_id: the run that logged it, "" if none.
        retrievals: how many retrievals of features Feast had recorded in the run before the model
            was logged; None if unknown, because the model was logged at another step than 0.
        last_retrieval: when the last of them was recorded, in ms since 1970; 0 without one.
        inputs: names of the columns in its signature; None if it has none or was not read.
    """

    run_id: str
    retrievals: int | None
    last_retrieval: int = 0
    inputs: tuple[str, ...] | None = None


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
        last_retrieval: when Feast recorded the last retrieval of features, in ms since 1970; 0 if
            Feast recorded none, so the tags have another author.
        retrievals: the number of retrievals that Feast recorded, at most `MANY`; None if it was
            not needed or could not be read.
        models: (id, step) of the LoggedModels that it logged.
        parent_id: the run in which it is nested, or "".
        parent: that run, where this run has no record of training itself.
        name: of the run, cut; status and experiment_id: as MLflow writes them.
    """

    run_id: str
    started_at: datetime
    deleted: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    features_artifact: tuple[str, ...] | None = None
    last_retrieval: int = 0
    retrievals: int | None = None
    models: tuple[tuple[str, int], ...] = ()
    parent_id: str = ""
    parent: "TrainingRun | None" = None
    name: str = ""
    status: str = ""
    experiment_id: str = ""


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
        logged: the LoggedModel, where the records of its run need an order.
    """

    name: str
    version: str
    created_at: datetime
    source: str = ""
    run_id: str = ""
    model_id: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    logged: LoggedModel | None = None

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
        found_at: when the reading began that found these aliases and versions; None: at `read_at`.
    """

    read_at: datetime
    versions: Mapping[str, Mapping[str, ModelVersion]]
    runs: Mapping[str, TrainingRun]
    found_at: datetime | None = field(default=None, compare=False)

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
