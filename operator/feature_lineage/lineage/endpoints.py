"""The questions of the HTTP API: parameters, answers, and who answers.

`openapi` has the paths before them: one for our endpoints, and one for those of Feast's UI.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from feature_lineage.lineage import feast_ui
from feature_lineage.lineage.answers import (
    Answer,
    Features,
    GraphAnswer,
    ImpactAnswer,
    SearchPage,
    UnusedPage,
    VersionsPage,
)
from feature_lineage.lineage.project_lineage import MAX_NODES, ProjectLineage

NAME_CHARACTERS: Final = 1_000

Name = Annotated[str, Field(min_length=1, max_length=NAME_CHARACTERS)]
Limit = Annotated[int, Field(ge=1, le=1_000)]
Steps = Annotated[int, Field(ge=0, le=1_000)]
Position = Annotated[int, Field(ge=0, le=10_000_000)]


class Parameters(BaseModel):
    """Base class of query parameters, in camelCase."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        populate_by_name=True,
    )

    as_of: AwareDatetime | None = None
    """Answer for this time in the past; absent: now."""


class GraphParameters(Parameters):
    name: Name | None = None
    """The object around which the graph is; absent: the whole graph."""
    up: Steps | None = None
    """Steps against the data; absent: all."""
    down: Steps | None = None
    """Steps with the data; absent: all."""
    features: bool = False
    """Whether features are nodes, and not only views."""
    limit: Annotated[int, Field(ge=1, le=MAX_NODES)] = MAX_NODES
    """The most nodes; a larger graph is refused, and never cut."""


class ImpactParameters(Parameters):
    name: Name
    """``VIEW``, ``VIEW:FEATURE``, ``service/NAME``, ``source/NAME`` or ``entity/NAME``."""
    after: Name | None = None
    """`after` of the page before."""
    limit: Limit = 100


class FeaturesParameters(Parameters):
    name: Name
    """``models:/NAME/VERSION``, ``models:/NAME@ALIAS``, ``models:/m-…`` or ``runs:/…``."""


class VersionsParameters(Parameters):
    model: Name | None = None
    """A registered model; absent: all."""
    after: Name | None = None
    """`after` of the page before."""
    limit: Limit = 100


class SearchParameters(Parameters):
    text: Name
    """A part of a name, in any case."""
    after: Position = 0
    """`after` of the page before."""
    limit: Limit = 100


class UnusedParameters(BaseModel):
    model_config = Parameters.model_config

    days: Annotated[int, Field(ge=0, le=36_500)] = 90
    """How long a version without an alias counts as a user after it was registered."""
    after: Position = 0
    """`after` of the page before."""
    limit: Limit = 100


class FeaturesAnswer(Answer):
    """The features of the versions that a name stands for."""

    items: tuple[Features, ...]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One question.

    Attributes:
        path: its last segment.
        parameters: the model of its query parameters.
        answer: the model of its answer.
        ages: whether time alone changes the answer: freshness is in it, or it is about days.
        declared: whether the answer names TrainedModels.
        ask: answers it; `errors.NotFound` and `errors.TerminalError` are 404 and 400.
    """

    path: str
    summary: str
    parameters: type[BaseModel]
    answer: type[Answer]
    ask: Callable[[ProjectLineage, Any], Answer]
    ages: bool = False
    declared: bool = False


def _unused(line: ProjectLineage, given: UnusedParameters) -> UnusedPage:
    since = datetime.now(UTC) - timedelta(days=given.days)
    return line.unused(since, after=given.after, limit=given.limit)


ENDPOINTS: Final = (
    Endpoint(
        "graph",
        "What an object depends on and what depends on it",
        GraphParameters,
        GraphAnswer,
        lambda line, given: line.around(
            given.name,
            up=given.up,
            down=given.down,
            features=given.features,
            limit=given.limit,
        ),
    ),
    Endpoint(
        "impact",
        "Model versions and protected services that a change may affect",
        ImpactParameters,
        ImpactAnswer,
        lambda line, given: line.impact(given.name, after=given.after, limit=given.limit),
    ),
    Endpoint(
        "features",
        "Features of a model version",
        FeaturesParameters,
        FeaturesAnswer,
        lambda line, given: FeaturesAnswer(items=line.features(given.name)),
        ages=True,
        declared=True,
    ),
    Endpoint(
        "versions",
        "Every version of the models that name the project",
        VersionsParameters,
        VersionsPage,
        lambda line, given: line.versions(given.model, after=given.after, limit=given.limit),
        ages=True,
        declared=True,
    ),
    Endpoint(
        "search",
        "Objects whose name contains a text",
        SearchParameters,
        SearchPage,
        lambda line, given: line.search(given.text, after=given.after, limit=given.limit),
    ),
    Endpoint(
        "unused",
        "Views and features that no model version has used for some time",
        UnusedParameters,
        UnusedPage,
        _unused,
        ages=True,
    ),
)

FEAST_ENDPOINTS: Final = (
    Endpoint(
        "mlflow-runs",
        "Runs of registered versions, newest first, as Feast's UI reads them",
        feast_ui.RunsParameters,
        feast_ui.FeastRuns,
        lambda line, given: feast_ui.runs(line, given.max_results),
    ),
    Endpoint(
        "mlflow-feature-usage",
        "Runs and models of each feature view, as Feast's UI reads them",
        feast_ui.NoParameters,
        feast_ui.FeastUsages,
        lambda line, _: feast_ui.feature_usage(line),
    ),
    Endpoint(
        "mlflow-feature-models",
        "Model versions of each feature, as Feast's UI reads them",
        feast_ui.NoParameters,
        feast_ui.FeastFeatureModels,
        lambda line, _: feast_ui.feature_models(line),
    ),
)
"""With the paths of Feast's UI server, for a proxy in front of it."""
