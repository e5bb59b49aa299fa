"""The three answers with which Feast's UI shows MLflow, in Feast's shape and complete.

Feast asks MLflow itself, for the first 100 registered models and the newest version of each. These
answers have every version that names the project, and its aliases.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Final
from urllib.parse import quote

from pydantic import AfterValidator, BaseModel, ConfigDict

from feature_lineage.errors import TerminalError
from feature_lineage.lineage.answers import Answer
from feature_lineage.lineage.nodes import feature_node
from feature_lineage.lineage.project_lineage import ProjectLineage
from feature_lineage.models.facts import TrainingRun
from feature_lineage.models.index import IndexedVersion

NO_STAGE: Final = "None"
MAX_RUNS: Final = 200
DEFAULT_RUNS: Final = 50
MAX_ALIASES: Final = 5
"""Of a version, since each feature of it repeats them."""
MAX_USES: Final = 250_000
"""Of features by versions, each of which is a part of one answer."""


class FeastAnswer(Answer):
    """Base class: Feast's names, and null where a value is absent."""

    model_config = ConfigDict(alias_generator=None, frozen=True, use_attribute_docstrings=True)

    def as_json(self) -> bytes:
        return self.model_dump_json().encode()


class FeastModel(FeastAnswer):
    """A model version."""

    model_name: str
    version: str
    stage: str = NO_STAGE
    """The aliases, such as ``@champion``; Feast's UI shows no stage."""
    mlflow_url: str
    aliases: tuple[str, ...] = ()
    """Not in Feast's own answer."""


class FeastRun(FeastAnswer):
    """A run from which a registered version comes."""

    run_id: str
    run_name: str
    status: str
    start_time: int
    """In ms since 1970."""
    feature_service: str | None
    feature_views: tuple[str, ...]
    feature_refs: tuple[str, ...]
    retrieval_type: str | None
    entity_count: str | None
    mlflow_url: str
    registered_models: tuple[FeastModel, ...]


class FeastRuns(FeastAnswer):
    """Answer of ``/api/mlflow-runs``."""

    runs: tuple[FeastRun, ...]
    mlflow_uri: str | None


class FeastUsage(FeastAnswer):
    """How a feature view is used."""

    run_count: int
    last_used: int | None
    """In ms since 1970."""
    models: tuple[str, ...]


class FeastUsages(FeastAnswer):
    """Answer of ``/api/mlflow-feature-usage``."""

    feature_usage: dict[str, FeastUsage]
    mlflow_enabled: bool


class FeastFeatureModels(FeastAnswer):
    """Answer of ``/api/mlflow-feature-models``."""

    feature_models: dict[str, tuple[FeastModel, ...]]


class NoParameters(BaseModel):
    """Feast's UI sends none; others are ignored, as Feast does."""

    model_config = ConfigDict(frozen=True)


class RunsParameters(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    max_results: Annotated[int, AfterValidator(lambda most: min(max(most, 1), MAX_RUNS))] = (
        DEFAULT_RUNS
    )
    """Clamped to 1..200, as Feast does."""


def feature_models(line: ProjectLineage) -> FeastFeatureModels:
    """The model versions of each feature, by ``view:feature``.

    Raises:
        TerminalError: the answer would be too large.
    """
    uses = sum(len(version.refs) for version in line.index.versions)
    if uses > MAX_USES:
        raise TerminalError(
            f"{line.resource}: models use features {uses} times, and an answer for Feast's UI "
            f"names at most {MAX_USES}; ask for the impact of one view"
        )
    found: dict[str, list[FeastModel]] = {}
    for version in line.index.versions:
        model = _model(line, version)
        for name in dict.fromkeys(feature_node(ref).name for ref in version.refs):
            found.setdefault(name, []).append(model)
    return FeastFeatureModels(feature_models={name: tuple(of) for name, of in found.items()})


def feature_usage(line: ProjectLineage) -> FeastUsages:
    """The runs and models of each feature view."""
    runs: dict[str, dict[str, datetime]] = {}
    models: dict[str, dict[str, None]] = {}
    for version in line.index.versions:
        run = line.run_of(version)
        for view in dict.fromkeys(ref.view for ref in version.refs):
            models.setdefault(view, {})[version.model] = None
            if run is not None:
                runs.setdefault(view, {})[run.run_id] = run.started_at
    return FeastUsages(
        feature_usage={
            view: FeastUsage(
                run_count=len(runs.get(view, ())),
                last_used=_ms(max(runs[view].values())) if view in runs else None,
                models=tuple(names),
            )
            for view, names in sorted(models.items())
        },
        mlflow_enabled=line.project.spec.mlflow is not None,
    )


def runs(line: ProjectLineage, most: int = DEFAULT_RUNS) -> FeastRuns:
    """The runs of registered versions, newest first."""
    versions: dict[str, list[IndexedVersion]] = {}
    found: dict[str, TrainingRun] = {}
    for version in line.index.versions:
        if (run := line.run_of(version)) is not None:
            found[run.run_id] = run
            versions.setdefault(run.run_id, []).append(version)
    newest = sorted(found.values(), key=lambda run: (run.started_at, run.run_id), reverse=True)
    return FeastRuns(
        runs=tuple(_run(line, run, versions[run.run_id]) for run in newest[:most]),
        mlflow_uri=line.mlflow_url or None,
    )


def _run(line: ProjectLineage, run: TrainingRun, versions: Iterable[IndexedVersion]) -> FeastRun:
    versions = tuple(versions)
    refs = dict.fromkeys(feature_node(ref).name for version in versions for ref in version.refs)
    services = {version.service for version in versions} - {""}
    return FeastRun(
        run_id=run.run_id,
        run_name=run.name,
        status=run.status,
        start_time=_ms(run.started_at),
        # A service draws an edge to the run: the link knows it also where the tag is wrong.
        feature_service=min(services, default=None),
        feature_views=tuple(dict.fromkeys(name.partition(":")[0] for name in refs)),
        feature_refs=tuple(refs),
        retrieval_type=run.tags.get("feast.retrieval_type"),
        entity_count=run.tags.get("feast.entity_count"),
        mlflow_url=f"{line.mlflow_url}/#/experiments/{quote(run.experiment_id)}/runs/{run.run_id}",
        registered_models=tuple(_model(line, version) for version in versions),
    )


def _model(line: ProjectLineage, version: IndexedVersion) -> FeastModel:
    aliases = version.aliases[:MAX_ALIASES]
    return FeastModel(
        model_name=version.model,
        version=version.version,
        stage=", ".join(f"@{alias}" for alias in aliases) or NO_STAGE,
        mlflow_url=f"{line.mlflow_url}/#/models/{quote(version.model, safe='')}/versions/"
        f"{quote(version.version, safe='')}",
        aliases=aliases,
    )


def _ms(at: datetime) -> int:
    return int((at - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000)
