"""Small registries and models for the tests of operations, in Feast's protobuf field names."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from feature_lineage.features.definitions import define_all
from feature_lineage.features.refs import FeatureRef
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.operations.protection import Guard, GuardedModel
from feature_lineage.operations.protocol import ApplyRequest

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def view(
    features: Mapping[str, str],
    *,
    join_key: str = "driver_id",
    source: str = "stats.parquet",
    ttl: str = "86400s",
    tags: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    return {
        "entity_columns": [{"name": join_key, "value_type": "INT64"}],
        "features": [{"name": name, "value_type": dtype} for name, dtype in features.items()],
        "batch_source": {"name": "stats", "file_options": {"uri": source}},
        "ttl": ttl,
        "tags": dict(tags or {}),
    }


def service(members: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """A service of view → feature → type."""
    return {
        "features": [
            {
                "feature_view_name": view_name,
                "feature_columns": [{"name": n, "value_type": t} for n, t in columns.items()],
            }
            for view_name, columns in members.items()
        ]
    }


def registry(
    views: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    services: Mapping[str, Mapping[str, Any]] | None = None,
    closures: Mapping[str, str] | None = None,
    **sections: Mapping[str, Mapping[str, Any]],
) -> RegistrySnapshot:
    objects: dict[str, Mapping[str, Mapping[str, Any]]] = {
        kind: named
        for kind, named in {
            "feature_view": views or {},
            "feature_service": services or {},
            **sections,
        }.items()
        if named
    }
    return RegistrySnapshot("driver_ranking", objects, closures or {})


def model(
    baseline: RegistrySnapshot,
    refs: Sequence[str],
    *,
    name: str = "driver_model",
    version: str = "3",
    aliases: tuple[str, ...] = ("champion",),
    service: str = "",
) -> GuardedModel:
    """A protected version, trained on these features as the baseline defines them."""
    definitions = define_all(baseline, [FeatureRef.parse(ref) for ref in refs])
    assert len(definitions) == len(refs), "the baseline must define what the model was trained on"
    return GuardedModel(name, version, aliases, service, definitions)


def request(*models: GuardedModel, unknown: tuple[str, ...] = (), **fields: Any) -> ApplyRequest:
    return ApplyRequest(guard=Guard(NOW, models, unknown), **fields)
