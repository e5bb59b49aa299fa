"""The lineage of a project at a time in the past, from what is recorded of it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from feature_lineage.decide.observed import LinkedVersion
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.lineage.answers import AsOf
from feature_lineage.lineage.graph import LineageGraph
from feature_lineage.lineage.project_lineage import ProjectLineage
from feature_lineage.models.index import build
from feature_lineage.operations.alias_history import AliasState
from feature_lineage.operations.past import RegistryState


def past(
    now: ProjectLineage,
    snapshot: RegistrySnapshot,
    registry: RegistryState,
    aliases: AliasState,
    at: datetime,
) -> ProjectLineage:
    """The lineage at a time.

    Args:
        now: the lineage as last read; a version keeps the features that it was trained with.
        snapshot: the registry in force at that time, of the state `registry`.
        aliases: in force at that time.
    """
    linked = {
        (item.version.name, item.version.version): item for item in _versions(now, aliases, at)
    }
    index = build((item.version, item.link) for item in linked.values())
    named = {
        (model, version)
        for model, by_alias in aliases.aliases.items()
        for version in by_alias.values()
    }
    return replace(
        now,
        snapshot=snapshot,
        index=index,
        graph=LineageGraph(snapshot, index),
        linked=linked,
        as_of=AsOf(
            at=at,
            models_read_at=now.as_of.models_read_at,
            registry_read_at=registry.since,
            registry_digest=registry.digest,
            gone_since=tuple(
                f"{model}/{version}" for model, version in sorted(named - linked.keys())
            ),
        ),
        declared={},
        probe=None,
    )


def _versions(now: ProjectLineage, aliases: AliasState, at: datetime) -> Iterator[LinkedVersion]:
    """The versions that were registered by then, with the aliases of that time."""
    named: dict[tuple[str, str], list[str]] = {}
    for model, by_alias in aliases.aliases.items():
        for alias, version in by_alias.items():
            named.setdefault((model, version), []).append(alias)
    for key, item in now.linked.items():
        if item.version.created_at <= at:
            aliased = replace(item.version, aliases=tuple(sorted(named.get(key, ()))))
            yield replace(item, version=aliased, judgement=None)
