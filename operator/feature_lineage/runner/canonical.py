"""Converts Feast's protobuf messages to a canonical snapshot, without unpickling.

The snapshot omits: everything under ``meta`` (timestamps, materialization intervals, state),
pickled bodies (their bytes differ by hash seed, directory and line), defaults (unset and default
are the same to Feast), the copies of sources inside projections, and order without
meaning. User-defined functions are compared by the syntax tree of their source text.
"""

from typing import Any, Final

from google.protobuf.json_format import MessageToDict

from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.runner.errors import InvalidRepo
from feature_lineage.runner.syntax import code_digest

SECTIONS: Final = {
    "entities": "entity",
    "data_sources": "data_source",
    "feature_views": "feature_view",
    "stream_feature_views": "stream_feature_view",
    "on_demand_feature_views": "on_demand_feature_view",
    "label_views": "label_view",
    "feature_services": "feature_service",
    "permissions": "permission",
    "saved_datasets": "saved_dataset",
    "validation_references": "validation_reference",
}
DUMMY_ENTITY: Final = "__dummy"
_DROPPED: Final = frozenset(
    {"meta", "project", "body", "ibis_function", "substrait_plan", "profiler"}
)
_ZERO_IS_A_VALUE: Final = frozenset({"version_tag"})  # 0 pins v0, absent is the latest
_DEFAULTS: Final[tuple[Any, ...]] = ("", 0, False, "0s", [], {})
_UNORDERED: Final = frozenset({"features", "entity_columns", "types", "actions"})
# Feast accepts the same definition imported twice under one name.
_MAY_REPEAT: Final = frozenset({"entity", "data_source"})


def snapshot_of(registry: Any, project: str, owner: str | None) -> RegistrySnapshot:
    """Snapshot of a ``Registry`` message.

    Args:
        registry: the message.
        project: the snapshot's project.
        owner: keep only objects of this project; ``None`` for a repo's own message, whose
            objects carry no project yet.

    Raises:
        InvalidRepo: two different objects of one kind have the same name.
    """
    objects: dict[str, dict[str, Any]] = {}
    for field, kind in SECTIONS.items():
        for message in getattr(registry, field):
            spec = spec_of(message)
            if spec.name == DUMMY_ENTITY or (owner is not None and spec.project != owner):
                continue
            named, value = objects.setdefault(kind, {}), canonical(message, kind)
            if spec.name in named and (kind not in _MAY_REPEAT or named[spec.name] != value):
                words = kind.replace("_", " ")
                raise InvalidRepo(f"two different objects of kind {words} are named {spec.name!r}")
            named[spec.name] = value
    return RegistrySnapshot(project, {kind: named for kind, named in objects.items() if named})


def spec_of(message: Any) -> Any:
    """The part that holds name and project: ``spec``, or the message itself (data sources)."""
    return message.spec if "spec" in message.DESCRIPTOR.fields_by_name else message


def canonical(message: Any, kind: str) -> dict[str, Any]:
    """One object, in Feast's field names."""
    spec = spec_of(message)
    value = MessageToDict(spec, preserving_proto_field_name=True)
    if value.get("feature_transformation"):
        value.pop("user_defined_function", None)  # Feast's deprecated duplicate of it
    for source in value.get("sources", {}).values() if kind == "on_demand_feature_view" else ():
        if "feature_view" in source:  # an on-demand view embeds the whole view it reads
            source["feature_view"] = {"spec": {"name": source["feature_view"]["spec"]["name"]}}
    cleaned: dict[str, Any] = _message(value, spec.DESCRIPTOR, kind == "feature_service")
    if kind.endswith("view") or kind == "permission":  # a service's order is the model's input
        for key in _UNORDERED & cleaned.keys():
            cleaned[key].sort(key=lambda item: item["name"] if isinstance(item, dict) else item)
    return cleaned


def _message(value: dict[str, Any], descriptor: Any, by_name: bool) -> dict[str, Any]:
    result = {}
    for key, item in value.items():
        field = descriptor.fields_by_name[key]
        if key in _DROPPED:
            continue
        if key == "data_source_class_type" and value.get("type") != "CUSTOM_SOURCE":
            continue  # only the file registry fills the class of built-in kinds
        if key == "body_text":
            result["udf_sha256"] = code_digest(item)
        elif by_name and key in ("batch_source", "stream_source"):
            result[key] = item.get("name", "")
        else:
            inside = by_name or key == "feature_view_projection"
            kept = _value(item, field, inside)
            if key in _ZERO_IS_A_VALUE or kept not in _DEFAULTS:
                result[key] = kept
    return result


def _value(item: Any, field: Any, by_name: bool) -> Any:
    described = field.message_type
    if described is None or described.full_name.startswith("google.protobuf."):
        return item
    if described.GetOptions().map_entry:
        held = described.fields_by_name["value"]
        return {key: _value(part, held, by_name) for key, part in item.items()}
    if isinstance(item, list):
        return [_message(part, described, by_name) for part in item]
    return _message(item, described, by_name)
