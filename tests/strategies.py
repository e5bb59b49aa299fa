"""Hypothesis strategies shared by the tests: registries, edits of them, versions and runs.

Registries have the shape that the runner writes (`tests/unit/features/data` holds a real one):
views of every kind, sources embedded in views, on-demand views over projections, services with
partial, aliased and pinned projections, names beyond ASCII.
"""

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from feature_lineage.features.refs import FeatureRef
from feature_lineage.features.services import service_members
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.features.views import field_types
from feature_lineage.models.facts import ModelVersion, TrainingRun

Objects = dict[str, dict[str, Any]]

PROJECT = "driver_ranking"
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
TYPES = ("INT64", "FLOAT", "DOUBLE", "STRING", "BOOL", "FLOAT_LIST")
FEATURES = ("conv_rate", "acc_rate", "trips", "größe", "価格")

_REAL = Path(__file__).parent / "unit/features/data/driver_ranking.json"


def real_snapshot() -> RegistrySnapshot:
    """A registry as Feast 0.67 writes it for a repo with views of every kind and two services."""
    return RegistrySnapshot.from_value(json.loads(_REAL.read_text(encoding="utf-8")))


names = st.text(
    st.characters(categories=("L", "N"), include_characters="_-."), min_size=1, max_size=12
)
moments = st.integers(0, 10_000_000).map(lambda seconds: EPOCH + timedelta(seconds=seconds))
refs = st.builds(FeatureRef, names, names, st.none() | st.integers(0, 99))
digests = st.text("0123456789abcdef", min_size=64, max_size=64)


def field(name: str, value_type: str) -> dict[str, Any]:
    return {"name": name, "value_type": value_type}


@st.composite
def fields(draw: st.DrawFn) -> list[dict[str, Any]]:
    chosen = draw(st.lists(st.sampled_from(FEATURES), min_size=1, max_size=4, unique=True))
    return [field(name, draw(st.sampled_from(TYPES))) for name in sorted(chosen)]


def source(name: str, **more: Any) -> dict[str, Any]:
    options = {"file_options": {"uri": f"{name}.parquet"}, "timestamp_field": "event_timestamp"}
    return {"name": name, "type": "BATCH_FILE", **options, **more}


def projection(view: dict[str, Any], columns: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"feature_view_name": view["name"], "feature_columns": columns, **more}


@st.composite
def plain_views(draw: st.DrawFn, name: str, entities: list[str]) -> dict[str, Any]:
    view: dict[str, Any] = {
        "name": name,
        "entities": draw(st.lists(st.sampled_from(entities), unique=True)) or ["__dummy"],
        "features": draw(fields()),
        "batch_source": source(draw(st.sampled_from(("hourly", "daily")))),
        "online": draw(st.booleans()),
        "version": draw(st.sampled_from(("latest", "latest", "v0"))),
    }
    if draw(st.booleans()):
        view["ttl"] = draw(st.sampled_from(("3600s", "86400s")))
    return view


@st.composite
def on_demand_views(draw: st.DrawFn, name: str, bases: list[dict[str, Any]]) -> dict[str, Any]:
    sources = {}
    for base in draw(st.lists(st.sampled_from(bases), min_size=1, max_size=2, unique_by=id)):
        columns = draw(st.lists(st.sampled_from(base["features"]), min_size=1, unique_by=id))
        sources[base["name"]] = {"feature_view_projection": projection(base, columns)}
    if draw(st.booleans()):
        schema = {"schema": [field("wert", "INT64")]}
        request = {"name": "vals", "type": "REQUEST_SOURCE", "request_data_options": schema}
        sources["vals"] = {"request_data_source": request}
    return {
        "name": name,
        "entities": ["__dummy"],
        "features": draw(fields()),
        "feature_transformation": udf(draw(st.sampled_from("ab"))),
        "mode": "pandas",
        "sources": sources,
    }


def udf(text: str) -> dict[str, Any]:
    return {"user_defined_function": {"name": "f", "udf_sha256": text * 64}}


@st.composite
def services(draw: st.DrawFn, name: str, views: list[dict[str, Any]]) -> dict[str, Any]:
    members = []
    for view in draw(st.lists(st.sampled_from(views), min_size=1, max_size=3, unique_by=id)):
        columns = draw(st.lists(st.sampled_from(view["features"]), min_size=1, unique_by=id))
        more: dict[str, Any] = {}
        if draw(st.integers(0, 4)) == 0:
            more["feature_view_name_alias"] = f"{view['name']}_alias"
        if draw(st.integers(0, 4)) == 0:
            more["version_tag"] = draw(st.integers(0, 3))
        if draw(st.integers(0, 4)) == 0:
            more["join_key_map"] = {"driver_id": "origin_id"}
        members.append(projection(view, columns, **more))
    return {"name": name, "features": members}


@st.composite
def snapshots(draw: st.DrawFn) -> RegistrySnapshot:
    """A consistent registry with views of every kind."""
    entities = {
        name: {"name": name, "join_key": f"{name}_id", "value_type": "INT64"}
        for name in ("driver", "kundin")
    }
    plain = [
        draw(plain_views(name, list(entities)))
        for name in draw(st.sampled_from((("stats",), ("stats", "kunden"), ("a", "b", "フィード"))))
    ]
    objects: Objects = {
        "entity": entities,
        "data_source": {name: source(name) for name in ("hourly", "daily")},
        "feature_view": {view["name"]: view for view in plain},
    }
    if draw(st.booleans()):
        stream = draw(plain_views("strom", list(entities)))
        stream["stream_source"] = {**source("kafka"), "type": "STREAM_KAFKA"}
        stream["feature_transformation"] = udf("c")
        objects["stream_feature_view"] = {"strom": stream}
        plain.append(stream)
    if draw(st.booleans()):
        label = draw(plain_views("labels", list(entities)))
        label["source"] = label.pop("batch_source")
        objects["label_view"] = {"labels": label}
    every = list(plain)
    for name in draw(st.sampled_from(((), ("computed",), ("computed", "mixed")))):
        view = draw(on_demand_views(name, plain))
        objects.setdefault("on_demand_feature_view", {})[name] = view
        every.append(view)
    chosen = draw(st.sampled_from(((), ("v1",), ("v1", "v2"))))
    if chosen:
        objects["feature_service"] = {name: draw(services(name, every)) for name in chosen}
    if draw(st.booleans()):
        objects["permission"] = {"lesen": {"name": "lesen", "types": ["FEATURE_VIEW"]}}
    return RegistrySnapshot(PROJECT, objects)


def edited(snapshot: RegistrySnapshot, edit: Callable[[Objects], object]) -> RegistrySnapshot:
    """A copy with one change."""
    objects = copy.deepcopy({kind: dict(named) for kind, named in snapshot.objects.items()})
    edit(objects)
    kept = {kind: named for kind, named in objects.items() if named}
    return RegistrySnapshot(snapshot.project, kept, dict(snapshot.closures))


@st.composite
def edits(draw: st.DrawFn, snapshot: RegistrySnapshot) -> RegistrySnapshot:
    """The registry after up to four changes of any kind, also breaking ones."""
    for _ in range(draw(st.integers(0, 4))):
        paths = [(kind, name) for kind, named in snapshot.objects.items() for name in named]
        if not paths:
            break
        kind, name = draw(st.sampled_from(sorted(paths)))
        change = draw(st.sampled_from(_EDITS))

        def edit(
            objects: Objects, kind: str = kind, name: str = name, change: Any = change
        ) -> None:
            change(objects, kind, name)

        snapshot = edited(snapshot, edit)
    return snapshot


@st.composite
def annotated(draw: st.DrawFn, snapshot: RegistrySnapshot) -> RegistrySnapshot:
    """The registry with other tags, owners and descriptions, and no other change."""

    def annotate(spec: dict[str, Any]) -> None:
        if draw(st.booleans()):
            spec["tags"] = {**spec.get("tags", {}), draw(names): draw(names)}
        if draw(st.booleans()):
            spec["description"] = draw(names)

    def edit(objects: Objects) -> None:
        for kind, named in objects.items():
            for spec in named.values():
                annotate(spec)
                spec["owner"] = draw(names)
                for key in ("batch_source", "stream_source", "source"):
                    if key in spec:
                        annotate(spec[key])
                if kind.endswith("view"):
                    for item in spec["features"]:
                        annotate(item)

    return edited(snapshot, edit)


def all_refs(snapshot: RegistrySnapshot) -> list[FeatureRef]:
    """Every feature of the registry, by its latest version."""
    return sorted(
        FeatureRef(name, feature)
        for _, name, spec in snapshot.views()
        for feature in field_types(spec.get("features"))
    )


@st.composite
def used_refs(draw: st.DrawFn, snapshot: RegistrySnapshot) -> tuple[FeatureRef, ...]:
    """Some features of the registry, in any order."""
    every = all_refs(snapshot)
    return tuple(draw(st.lists(st.sampled_from(every), min_size=1, max_size=6, unique=True)))


def training_run(recorded: list[str], service: str = "", **more: str) -> TrainingRun:
    """A run as Feast's MLflow integration leaves it."""
    tags = {
        "feast.project": PROJECT,
        "feast.feature_refs": ",".join(recorded),
        "feast.feature_count": str(len(recorded)),
        **({"feast.feature_service": service} if service else {}),
        **more,
    }
    return TrainingRun("run", EPOCH, tags=tags)


@st.composite
def trained_versions(
    draw: st.DrawFn, snapshot: RegistrySnapshot
) -> tuple[ModelVersion, TrainingRun]:
    """A version with its run, trained on features of the registry, with or without a service."""
    version = ModelVersion(
        draw(st.sampled_from(("model", "modèle", "m.1"))),
        str(draw(st.integers(1, 2000))),
        EPOCH,
        run_id="run",
        aliases=tuple(draw(st.lists(st.sampled_from(("champion", "prod")), unique=True))),
    )
    service = draw(st.sampled_from(["", *sorted(snapshot.objects.get("feature_service", {}))]))
    members = service_members(snapshot, service) or ()
    recorded = [member.spelled for member in members] or list(map(str, draw(used_refs(snapshot))))
    return version, training_run(recorded, service)


def _drop(objects: Objects, kind: str, name: str) -> None:
    del objects[kind][name]


def _drop_feature(objects: Objects, kind: str, name: str) -> None:
    if kind.endswith("view") and objects[kind][name]["features"]:
        objects[kind][name]["features"].pop()


def _retype(objects: Objects, kind: str, name: str) -> None:
    spec = objects[kind][name]
    if kind.endswith("view") and spec["features"]:
        spec["features"][0]["value_type"] = "UNIX_TIMESTAMP"
    elif kind == "entity":
        spec["value_type"] = "STRING"


def _resource(objects: Objects, kind: str, name: str) -> None:
    if kind.endswith("view"):
        objects[kind][name]["batch_source"] = source("other")


def _retime(objects: Objects, kind: str, name: str) -> None:
    objects[kind][name]["ttl"] = "60s"


def _recode(objects: Objects, kind: str, name: str) -> None:
    if "feature_transformation" in objects[kind][name]:
        objects[kind][name]["feature_transformation"] = udf("d")


def _tag(objects: Objects, kind: str, name: str) -> None:
    objects[kind][name]["tags"] = {"team": "ranking"}


def _shrink(objects: Objects, kind: str, name: str) -> None:
    if kind == "feature_service" and objects[kind][name]["features"]:
        objects[kind][name]["features"].pop()


def _add(objects: Objects, kind: str, name: str) -> None:
    if kind == "feature_view":
        objects[kind]["neu"] = {**copy.deepcopy(objects[kind][name]), "name": "neu"}


_EDITS = (_drop, _drop_feature, _retype, _resource, _retime, _recode, _tag, _shrink, _add)
