"""The protected model versions of a project.

The operator builds the guard from MLflow and sends it with the job request; the runner compares it
with the desired registry (`impacts`).
"""

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Literal

from feature_lineage.api.enums import ColumnNames
from feature_lineage.api.project_spec import NameFilter
from feature_lineage.features.definitions import FeatureDefinition
from feature_lineage.features.refs import FeatureRef
from feature_lineage.features.signatures import ServingSignature
from feature_lineage.features.snapshot import digest_of
from feature_lineage.models.verdicts import BREAKING, Problem
from feature_lineage.untrusted import Many, Name

Severity = Literal["Broken", "Changed"]


@dataclass(frozen=True)
class GuardedModel:
    """A protected model version and the features it was trained on.

    Attributes:
        model: registered model; "" for a feature service that is protected without a model.
        version: its number.
        aliases: the protected aliases that point to it.
        service: the feature service it is served through, "" when not recorded.
        features: its baseline definitions, as far as they are known.
        refs: all features it uses; those without a definition here are compared with the
            current registry.
        signature: what its client asks and gets, by its baseline; None if that is not known.
        names: the form of the names by which it reads its columns; Unknown in the request of an
            older operator.
    """

    model: str
    version: str
    aliases: tuple[str, ...]
    service: str
    features: tuple[FeatureDefinition, ...]
    refs: tuple[FeatureRef, ...] = ()
    signature: ServingSignature | None = None
    names: ColumnNames = ColumnNames.UNKNOWN


@dataclass(frozen=True)
class Guard:
    """The model versions that a plan is checked against.

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
    """A protected version, or service, with the new problems that the plan would cause.

    Attributes:
        service: the feature service that is protected without a model; then `model` and `version`
            are "".
    """

    model: Name
    version: Name
    aliases: Many[Name]
    problems: Many[Problem]
    service: Name = ""

    @classmethod
    def on(cls, guarded: GuardedModel, problems: tuple[Problem, ...]) -> "Impact":
        """The impact on a version or a service."""
        service = "" if guarded.model else guarded.service
        aliases = tuple(sorted(guarded.aliases))
        return cls(guarded.model, guarded.version, aliases, problems, service)

    @property
    def subject(self) -> tuple[str, str, str]:
        """What is affected; sorts impacts: models come before services."""
        return self.service, self.model, self.version

    @property
    def severity(self) -> Severity:
        """The worst of its problems."""
        broken = any(severity_of(problem) == "Broken" for problem in self.problems)
        return "Broken" if broken else "Changed"


def severity_of(problem: Problem) -> Severity:
    """Broken: serving fails or returns wrong values. Changed: definitions differ."""
    return "Broken" if problem.kind in BREAKING else "Changed"


def protected_aliases(
    version_aliases: Iterable[str], aliases: NameFilter, model: str, models: NameFilter
) -> tuple[str, ...]:
    """The aliases that make this version a protected one, sorted; empty if it is not protected."""
    if not _selected(model, models):
        return ()
    return tuple(sorted({alias for alias in version_aliases if _selected(alias, aliases)}))


def build_guard(read_at: datetime, protected: Iterable[GuardedModel]) -> Guard:
    """The guard of one project: its protected versions, and those with unknown features."""
    models = sorted(protected, key=lambda model: (model.model, model.version))
    return Guard(
        read_at,
        tuple(model for model in models if model.refs),
        tuple(sorted(f"{model.model}/{model.version}" for model in models if not model.refs)),
    )


def guard_digest(guard: Guard) -> str:
    """Identity of the guard's models; read time and order do not count."""
    models = sorted(
        [
            model.model,
            model.version,
            sorted(model.aliases),
            model.service,
            sorted(digest_of(asdict(definition)) for definition in model.features),
            sorted(map(str, model.refs)),
            *([model.names] if model.names is not ColumnNames.UNKNOWN else []),
        ]
        for model in guard.models
    )
    return digest_of({"models": models, "unknown": sorted(guard.unknown)})


def protected_versions(guard: Guard) -> tuple[str, ...]:
    """The versions affected by deleting the project, as ``model/version``, sorted.

    Versions with unknown features are included, since they use this project.
    """
    known = (f"{model.model}/{model.version}" for model in guard.models)
    return tuple(sorted({*known, *guard.unknown}))


def is_stale(guard: Guard, max_age: timedelta, now: datetime) -> bool:
    """Whether the guard is older than maxGuardAge; the job then changes nothing."""
    return now - guard.read_at > max_age


def _selected(name: str, names: NameFilter) -> bool:
    def matches(globs: Collection[str]) -> bool:
        return any(fnmatchcase(name, glob) for glob in globs)

    return matches(names.include) and not matches(names.exclude)
