"""Pages of answers about the model versions that a change would affect."""

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
        protected_services: feature services that are protected without a model, and that a change
            would affect, sorted.
    """

    items: tuple[AffectedVersion, ...]
    total: int
    promoted: int
    services: tuple[str, ...]
    after: str | None
    protected_services: tuple[str, ...] = ()
