"""Pages of answers about model versions and the features that they use."""

from dataclasses import dataclass

from feature_lineage.features.refs import FeatureRef


@dataclass(frozen=True, slots=True)
class AffectedVersion:
    """A model version that a change would affect.

    Attributes:
        features: those of its features that the change affects; all of them for a service.
    """

    model: str
    version: str
    aliases: tuple[str, ...]
    service: str
    features: tuple[FeatureRef, ...]


@dataclass(frozen=True, slots=True)
class ImpactPage:
    """One page of the model versions that a change would affect.

    Attributes:
        items: sorted by model, then by version as a number.
        total: number of versions on all pages.
        promoted: how many of them have an alias.
        services: feature services through which they are served, sorted.
        after: cursor of the next page; None on the last page.
    """

    items: tuple[AffectedVersion, ...]
    total: int
    promoted: int
    services: tuple[str, ...]
    after: str | None


@dataclass(frozen=True, slots=True)
class UsedFeature:
    """A feature that a model version uses.

    Attributes:
        views: the feature's view and the views that feed it, sorted.
    """

    ref: FeatureRef
    views: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FeaturesPage:
    """One page of the features that a model version uses.

    Attributes:
        items: sorted by view, feature and pinned version.
        total: number of features on all pages.
        after: cursor of the next page; None on the last page.
    """

    items: tuple[UsedFeature, ...]
    total: int
    after: str | None
