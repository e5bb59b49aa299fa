"""Reads the canonical spec of a feature view of any kind.

The shape of a snapshot is checked down to its objects, not within them: a spec may come from
another Feast version or be written by hand. A value of the wrong shape reads as absent.
"""

import json
import re
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from feature_lineage.features.snapshot import JsonObject, RegistrySnapshot, digest_of

_T = TypeVar("_T")

DUMMY_ENTITY: Final = "__dummy"
DUMMY_JOIN_KEY: Final = "__dummy_id"

_UNTYPED: Final = frozenset({"", "UNKNOWN", "INVALID"})
_ANNOTATIONS: Final = frozenset({"tags", "description", "owner"})
# Feast stores the inner part of these types in tags: only these tags are part of the definition.
_INNER_TYPE_TAGS: Final = ("feast:struct_schema", "feast:nested_inner_type")
_TRANSFORMATION_KEYS: Final = (
    "feature_transformation",
    "user_defined_function",
    "aggregations",
    "labeler_field",
    "conflict_policy",
    "retain_history",
)
_TRANSFORMATION_CONTEXT: Final = ("mode", "singleton", "timestamp_field")
TRANSFORMATION_FIELDS: Final = frozenset({*_TRANSFORMATION_KEYS, *_TRANSFORMATION_CONTEXT})
_VERSION: Final = re.compile(r"v(?:ersion)?([0-9]{1,9})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ViewInput:
    """An input of a view: a feature of another view, or a field of a request.

    Attributes:
        view: the view or request source it comes from.
        feature: feature or field.
        version: the pinned version of that view, None for the latest.
        dtype: its type as recorded by the view that uses it.
        request: whether it comes with the request, not from a view.
    """

    view: str
    feature: str
    version: int | None = None
    dtype: str = ""
    request: bool = False


def mapping(value: object) -> JsonObject:
    return value if isinstance(value, Mapping) else {}


def mappings(value: object) -> Iterator[JsonObject]:
    if isinstance(value, (list, tuple)):
        yield from (item for item in value if isinstance(item, Mapping))


def text(value: object) -> str:
    return value if isinstance(value, str) else ""


def number(value: object) -> int | None:
    """A protobuf integer, which JSON writes as a number or (64 bit) as a string."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    is_digits = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10
    return int(value) if isinstance(value, str) and is_digits else None


def dtype(field: JsonObject) -> str:
    """A field's type: ``FLOAT``, ``FLOAT_LIST[384]``, ``STRUCT<{…}>``."""
    tags = mapping(field.get("tags"))
    inner = "".join(f"<{tags[key]}>" for key in _INNER_TYPE_TAGS if key in tags)
    length = number(field.get("vector_length"))
    return text(field.get("value_type")) + inner + (f"[{length}]" if length else "")


def same_type(was: str, now: str) -> bool:
    """Whether two types are equal; a vector length counts only where both types have one."""
    if was == now:
        return True
    return was.partition("[")[0] == now.partition("[")[0] and ("[" in was) != ("[" in now)


def field_types(value: object) -> dict[str, str]:
    """Name → type of a list of fields, in order."""
    return {name: dtype(field) for field in mappings(value) if (name := text(field.get("name")))}


def entity_names(spec: JsonObject) -> list[str]:
    """Names of the view's own entities."""
    named = spec.get("entities")
    texts = [text(name) for name in named] if isinstance(named, list | tuple) else []
    return [name for name in texts if name and name != DUMMY_ENTITY]


def entity_join_keys(snapshot: RegistrySnapshot, spec: JsonObject) -> dict[str, str]:
    """Join key → value type of the view's own entities.

    The type of the entity wins over that of the view's column; an entity without a type has the
    type of the column.
    """
    keys = field_types(spec.get("entity_columns"))
    entities = snapshot.objects.get("entity", {})
    for name in entity_names(spec):
        if (entity := entities.get(name)) is not None:
            key, value_type = text(entity.get("join_key")) or name, text(entity.get("value_type"))
            keys[key] = value_type if value_type not in _UNTYPED else keys.get(key, "")
    keys.pop(DUMMY_JOIN_KEY, None)
    return keys


def source_core(source: object) -> dict[str, Any]:
    """A data source without tags, owner and description."""
    core = {k: v for k, v in mapping(source).items() if k not in _ANNOTATIONS}
    if "batch_source" in core:
        core["batch_source"] = source_core(core["batch_source"])
    if "request_data_options" in core:
        core["request_data_options"] = field_types(
            mapping(core["request_data_options"]).get("schema")
        )
    return core


def source_data(spec: JsonObject) -> str:
    """Digest of the batch and stream source whatever their names, "" if there is none.

    The name of a source is used by nothing that reads it. Clients push by the name of a
    `PushSource`, so that name counts.
    """
    sources = {
        key: _unnamed(core)
        for key in ("batch_source", "stream_source", "source")
        if (core := source_core(spec.get(key)))
    }
    return short_digest(sources) if sources else ""


def _unnamed(core: JsonObject) -> dict[str, Any]:
    kept = core.get("type") == "PUSH_SOURCE"
    unnamed = {key: value for key, value in core.items() if key != "name" or kept}
    if "batch_source" in unnamed:
        unnamed["batch_source"] = _unnamed(mapping(unnamed["batch_source"]))
    options = mapping(unnamed.get("custom_options"))
    if core.get("type") == "CUSTOM_SOURCE" and options:
        configuration = _unnamed_configuration(options.get("configuration"))
        unnamed["custom_options"] = {**options, "configuration": configuration}
    return unnamed


def _unnamed_configuration(encoded: object) -> object:
    """Without the name that Feast's PostgreSQL source repeats beside its table or query."""
    try:
        found = json.loads(b64decode(text(encoded), validate=True))
        if isinstance(found, dict) and (found.get("query") or found.get("table")):
            return short_digest({key: value for key, value in found.items() if key != "name"})
    except (ValueError, RecursionError):
        pass
    return encoded


def source_names(spec: JsonObject) -> str:
    """Names of the sources of a view, comma separated."""
    sources = (mapping(spec.get(key)) for key in ("batch_source", "stream_source", "source"))
    return ", ".join(text(source.get("name")) for source in sources if source)


def source_digest(spec: JsonObject) -> str:
    """Names and digest of the batch and stream source (``a, b#3f…``), "" if there is none."""
    sources = {
        key: core
        for key in ("batch_source", "stream_source", "source")
        if (core := source_core(spec.get(key)))
    }
    return f"{source_names(spec)}#{short_digest(sources)}" if sources else ""


def source_texts(was: str, now: str) -> tuple[str, str]:
    """Two results of `source_digest` for messages: names, with digests where names are equal."""
    before, after = (source.rpartition("#")[0] for source in (was, now))
    if before != after:
        return before, after
    return was[: len(before) + 9], now[: len(after) + 9]


def redefined_source(was: str, now: str) -> str:
    """The names, if two results of `source_texts` differ in the digest only; else ""."""
    name, mark, _ = was.rpartition("#")
    return name if mark and now.rpartition("#")[0] == name else ""


def transformation_digest(spec: JsonObject) -> str:
    """Digest of the transformation of a view, "" if it has none."""
    parts = {key: spec[key] for key in _TRANSFORMATION_KEYS if key in spec}
    if not parts:
        return ""
    context = {key: spec[key] for key in _TRANSFORMATION_CONTEXT if key in spec}
    return short_digest({**parts, **context})


def has_function(spec: JsonObject) -> bool:
    """Whether the view has a user-defined function."""
    return "feature_transformation" in spec or "user_defined_function" in spec


def pinned_version(spec: JsonObject) -> str:
    """The version that a view is pinned to (``v2``), "" for the latest."""
    match = _VERSION.fullmatch(text(spec.get("version")))
    return f"v{int(match[1])}" if match else ""


def ttl(spec: JsonObject) -> str:
    return text(spec.get("ttl"))


def ttl_seconds(spec: JsonObject) -> float:
    """The TTL in seconds; 0 if rows never expire, or if the registry has no number."""
    try:
        return max(float(ttl(spec).removesuffix("s")), 0.0)
    except ValueError:
        return 0.0


def ttl_text(seconds: str) -> str:
    """A TTL as people write it: ``7d`` for ``604800s``; ``none`` for "" and ``0s``, as in Feast."""
    whole, _, fraction = seconds.removesuffix("s").partition(".")
    if not (whole.isascii() and whole.isdigit() and len(whole) < 16):
        return seconds or "none"
    if fraction.strip("0"):
        return f"{whole}.{fraction.rstrip('0')}s"
    if not int(whole):
        return "none"
    return next(
        f"{int(whole) // size}{unit}"
        for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
        if int(whole) % size == 0
    )


def inputs(snapshot: RegistrySnapshot, spec: JsonObject) -> tuple[ViewInput, ...]:
    """Inputs of an on-demand or derived view, sorted."""
    found, whole = listed_inputs(spec)
    for view in dict.fromkeys(whole):
        found += _all_features(snapshot, view)
    return tuple(sorted(dict.fromkeys(found), key=_order))


def _order(item: ViewInput) -> tuple[str, str, int, str, bool]:
    version = -1 if item.version is None else item.version
    return item.view, item.feature, version, item.dtype, item.request


def listed_inputs(spec: JsonObject) -> tuple[list[ViewInput], list[str]]:
    """The inputs that a view lists, and the views of which it has every feature."""
    found: list[ViewInput] = []
    whole: list[str] = []
    for name, value in mapping(spec.get("sources")).items():
        source = mapping(value)
        if "request_data_source" in source:
            request = mapping(source["request_data_source"])
            types = field_types(mapping(request.get("request_data_options")).get("schema"))
            found += [ViewInput(name, f, None, t, request=True) for f, t in types.items()]
        elif "feature_view_projection" in source:
            projection = mapping(source["feature_view_projection"])
            view = text(projection.get("feature_view_name")) or name
            version = number(projection.get("version_tag"))
            types = field_types(projection.get("feature_columns"))
            found += [ViewInput(view, f, version, t) for f, t in types.items()]
        else:
            whole.append(_whole_view(source) or name)
    for embedded in mappings(spec.get("source_views")):
        types = field_types(embedded.get("features"))
        found += [ViewInput(text(embedded.get("name")), f, None, t) for f, t in types.items()]
    return found, whole


def source_views(spec: JsonObject) -> frozenset[str]:
    """Names of the views that feed a view."""
    embedded = {text(view.get("name")) for view in mappings(spec.get("source_views"))}
    return frozenset(embedded | {name for name, _ in source_projections(spec)})


def sources_of(snapshot: RegistrySnapshot, view: str) -> frozenset[str]:
    """As `source_views`, of a view by its name; read once per snapshot."""
    return _once(snapshot, "source_views", view, source_views)


def join_keys_of(snapshot: RegistrySnapshot, view: str) -> dict[str, str]:
    """As `entity_join_keys`, of a view by its name; read once per snapshot."""
    return _once(snapshot, "join_keys", view, lambda spec: entity_join_keys(snapshot, spec))


def request_types(snapshot: RegistrySnapshot, view: str) -> dict[str, str]:
    """Field → type of what an on-demand view reads of a request; read once per snapshot."""
    return _once(snapshot, "request_types", view, _request_types)


def _request_types(spec: JsonObject) -> dict[str, str]:
    read = sorted(listed_inputs(spec)[0], key=_order)
    return {item.feature: item.dtype for item in read if item.request}


def _once(snapshot: RegistrySnapshot, what: str, view: str, read: Callable[[JsonObject], _T]) -> _T:
    key = (what, view)
    if key not in snapshot.derived:
        found = snapshot.view(view)
        snapshot.derived[key] = read(found[1] if found is not None else {})
    value: _T = snapshot.derived[key]
    return value


def source_projections(spec: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    """(view, join key → name in the request) of the views that an on-demand view reads."""
    for name, value in mapping(spec.get("sources")).items():
        source = mapping(value)
        if "request_data_source" not in source:
            projection = mapping(source.get("feature_view_projection"))
            view = text(projection.get("feature_view_name")) or _whole_view(source) or name
            yield view, mapping(projection.get("join_key_map"))


def short_digest(value: object) -> str:
    """A digest of half the length for use in definitions, which are held in large numbers."""
    return digest_of(value)[:32]


def _whole_view(source: JsonObject) -> str:
    return text(mapping(mapping(source.get("feature_view")).get("spec")).get("name"))


def _all_features(snapshot: RegistrySnapshot, view: str) -> list[ViewInput]:
    found = snapshot.view(view)
    types = field_types(found[1].get("features")) if found else {}
    return [ViewInput(view, feature, None, dtype) for feature, dtype in types.items()]
