"""Which models a change may not break, and which it would.

The guard is data: it is built where MLflow is known (the operator), travels with the job, and is
judged where the desired registry is known (the runner).
"""

from dataclasses import dataclass
from datetime import datetime

from feature_lineage.features.definitions import FeatureDefinition
from feature_lineage.models.verdicts import Problem


@dataclass(frozen=True)
class GuardedModel:
    """A protected model version and what it was trained on.

    Attributes:
        model: registered model.
        version: its number.
        aliases: the protected aliases that point to it.
        service: the feature service it is served through, "" when not recorded.
        features: its baseline definitions.
    """

    model: str
    version: str
    aliases: tuple[str, ...]
    service: str
    features: tuple[FeatureDefinition, ...]


@dataclass(frozen=True)
class Guard:
    """Everything a plan is held against.

    Attributes:
        read_at: age of the oldest MLflow fact in it.
        models: protected versions of this project.
        unknown: versions that name this project and whose features are not known,
            as ``model/version``.
    """

    read_at: datetime
    models: tuple[GuardedModel, ...] = ()
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Impact:
    """A protected version that the plan would make worse, and how."""

    model: str
    version: str
    aliases: tuple[str, ...]
    problems: tuple[Problem, ...]
