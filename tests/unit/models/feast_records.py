"""What Feast and MLflow record of a sequence of retrievals and models, as it was measured.

The scenes of `docs/lineage.md` have the same sequences on real Feast and MLflow.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from tests.strategies import EPOCH, PROJECT

from feature_lineage.models.facts import MANY, LoggedModel, ModelVersion, TrainingRun

Kind = Literal["historical", "online"]


@dataclass(frozen=True)
class Retrieval:
    kind: Kind
    refs: tuple[str, ...]


@dataclass(frozen=True)
class Log:
    """A model is logged, by Feast's `log_model` or by MLflow's.

    Attributes:
        name: which model; tests ask for one by its name.
        inputs: names in its signature.
    """

    name: str = "model"
    by_feast: bool = True
    inputs: tuple[str, ...] | None = None


Step = Retrieval | Log


@dataclass
class Recorded:
    """One run while it is recorded; `start_ms` orders the points of several runs."""

    run_id: str = "run"
    start_ms: int = 0
    tags: dict[str, str] = field(default_factory=dict)
    points: list[int] = field(default_factory=list)
    artifact: tuple[str, ...] | None = None
    models: dict[str, LoggedModel] = field(default_factory=dict)

    def record(self, steps: Iterable[Step]) -> "Recorded":
        for number, step in enumerate(steps, start=1):
            if isinstance(step, Retrieval):
                self._retrieve(step, self.start_ms + number)
            else:
                self._log(step)
        return self

    def _retrieve(self, step: Retrieval, at: int) -> None:
        views = sorted({ref.partition(":")[0] for ref in step.refs})
        text = ",".join(step.refs)
        self.tags |= {
            "feast.project": PROJECT,
            "feast.retrieval_type": step.kind,
            "feast.feature_views": ",".join(views),
            "feast.feature_refs": text if len(text) <= 4990 else text[:4987] + "...",
            "feast.feature_count": str(len(step.refs)),
        }
        if step.kind == "historical":
            self.tags["feast.entity_df_type"] = "dataframe"
        self.points.append(at)

    def _log(self, step: Log) -> None:
        if step.by_feast and (text := self.tags.get("feast.feature_refs")):
            self.artifact = tuple(text.split(","))
        points = tuple(self.points)
        self.models[step.name] = LoggedModel(
            self.run_id, len(points), max(points, default=0), step.inputs
        )

    def run(self, **more: object) -> TrainingRun:
        run = TrainingRun(
            self.run_id,
            EPOCH,
            tags=dict(self.tags),
            features_artifact=self.artifact,
            last_retrieval=max(self.points, default=0),
            retrievals=min(MANY, len(self.points)) or None,
            models=tuple((f"m-{name}", 0) for name in self.models),
        )
        return replace(run, **more)  # type: ignore[arg-type]

    def version(self, name: str = "model", **tags: str) -> ModelVersion:
        return ModelVersion(
            "driver_model",
            "1",
            EPOCH,
            run_id=self.run_id,
            model_id=f"m-{name}",
            tags={f"feast.{key}": value for key, value in tags.items()},
            logged=self.models[name],
        )


def recorded(*steps: Step) -> Recorded:
    return Recorded().record(steps)
