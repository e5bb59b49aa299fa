"""Changes of a repo whose champion was trained on the service `svc_a`, each a scene."""

from typing import Final

HELPERS: Final = "def scaled(x):\n    return x * 2\n"
FEATURES: Final = """\
from datetime import timedelta

import pandas as pd
from feast import Entity, FeatureService, FeatureView, Field, FileSource, RequestSource, ValueType
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float64, Int64, String

driver = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)
rows = FileSource(name="rows", path="data/rows.parquet", timestamp_field="event_timestamp")
stats = FeatureView(
    name="stats", entities=[driver], ttl=timedelta(days=30), source=rows,
    schema=[
        Field(name="conv_rate", dtype=Float64),
        Field(name="acc_rate", dtype=Float64),
        Field(name="trips", dtype=Int64),
    ],
)
asked = RequestSource(name="asked", schema=[Field(name="hour", dtype=Int64)])


@on_demand_feature_view(sources=[stats, asked], schema=[Field(name="late", dtype=Int64)])
def lateness(df: pd.DataFrame) -> pd.DataFrame:
    from helpers import scaled

    out = pd.DataFrame()
    out["late"] = scaled(df["trips"]) + df["hour"]
    return out


def part(name, *columns, **keys):
    return stats[list(columns)].with_name(name).with_join_key_map(keys)


svc_a = FeatureService(
    name="svc_a",
    features=[
        part("main", "conv_rate", "trips"),
        part("origin", "trips", driver_id="origin_id"),
        part("dest", "trips", driver_id="dest_id"),
        lateness,
    ],
)
"""
FILES: Final = {"features.py": FEATURES, "helpers.py": HELPERS}
ENTITY: Final = 'Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)'
COMPUTED: Final = (
    '@on_demand_feature_view(sources=[stats, asked], schema=[Field(name="late", dtype=Int64)])\n'
)
STORED: Final = """\
lateness = FeatureView(
    name="lateness", entities=[driver], source=rows, schema=[Field(name="late", dtype=Int64)]
)


"""
ORIGIN: Final = '        part("origin", "trips", driver_id="origin_id"),\n'
DEST: Final = '        part("dest", "trips", driver_id="dest_id"),\n'

CHANGES: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "description": (("ttl=", 'description="by hour", ttl='),),
    "owner": (("ttl=", 'owner="ops@example.com", tags={"tier": "1"}, ttl='),),
    "feature-added": (
        ('Field(name="trips"', 'Field(name="miles", dtype=Float64),\n        Field(name="trips"'),
    ),
    "entity-only-in-the-view": (
        ("entities=[driver]", f"entities=[{ENTITY}]"),
        (f"driver = {ENTITY}\n", ""),
    ),
    "view-disabled": (("ttl=", "enabled=False, ttl="),),
    "view-not-online": (("ttl=", "online=False, ttl="),),
    "view-renamed": (('name="stats"', 'name="stats_2"'),),
    "feature-removed": (
        ('        Field(name="conv_rate", dtype=Float64),\n', ""),
        ('"main", "conv_rate", "trips"', '"main", "trips"'),
    ),
    "unused-feature-removed": (('        Field(name="acc_rate", dtype=Float64),\n', ""),),
    "type-widened": (('"trips", dtype=Int64', '"trips", dtype=Float64'),),
    "type-to-text": (('"conv_rate", dtype=Float64', '"conv_rate", dtype=String'),),
    "ttl-grown": (("days=30", "days=60"),),
    "ttl-shortened": (("days=30", "minutes=1"),),
    "source-moved": (("data/rows.parquet", "data/moved.parquet"),),
    "source-renamed": (('name="rows"', 'name="rows_2"'),),
    "source-timestamp": (('"event_timestamp"', '"created"'),),
    "join-key-renamed": (('join_keys=["driver_id"]', 'join_keys=["created_by"]'),),
    "entity-renamed": (('name="driver"', 'name="chauffeur"'),),
    "entity-type": (("ValueType.INT64", "ValueType.STRING"),),
    "maps-swapped": (
        (
            ORIGIN + DEST,
            ORIGIN.replace("origin_id", "dest_id") + DEST.replace("dest_id", "origin_id"),
        ),
    ),
    "map-renamed": (('driver_id="origin_id"', 'driver_id="start_id"'),),
    "alias-renamed": (('"origin", ', '"start", '),),
    "projection-removed": ((DEST, ""),),
    "projections-reordered": ((ORIGIN + DEST, DEST + ORIGIN),),
    "columns-reordered": (('"main", "conv_rate", "trips"', '"main", "trips", "conv_rate"'),),
    "service-grown": (
        ('"main", "conv_rate", "trips"', '"main", "conv_rate", "trips", "acc_rate"'),
    ),
    "service-shrunk": (('"main", "conv_rate", "trips"', '"main", "trips"'),),
    "service-deleted": ((FEATURES[FEATURES.index("svc_a = ") :], ""),),
    "on-demand-removed-from-service": (("        lateness,\n", ""),),
    "on-demand-becomes-view": ((COMPUTED, STORED), ("def lateness(", "def computed(")),
    "on-demand-changed": (('+ df["hour"]', '- df["hour"]'),),
    "on-demand-formatted": (
        ('scaled(df["trips"]) + df["hour"]', '(scaled(df["trips"]) + df["hour"])  # late'),
    ),
    "on-demand-unknown-name": (("= scaled(df", "= Int64 and scaled(df"),),
    "on-demand-type": (('"late", dtype=Int64', '"late", dtype=Float64'),),
    "helper-changed": (("x * 2", "x * 3"),),
    "helper-moved": (("from helpers import scaled", "scaled = lambda x: x * 2"),),
    "request-field-renamed": (('name="hour"', 'name="minute"'), ('df["hour"]', 'df["minute"]')),
    "request-type": (
        ('"hour", dtype=Int64', '"hour", dtype=Float64'),
        ('+ df["hour"]', '+ df["hour"].astype("int64")'),
    ),
}


def changed(name: str) -> dict[str, str]:
    """The files of the repo after a change.

    Raises:
        AssertionError: the change changes nothing.
    """
    files = dict(FILES)
    for old, new in CHANGES[name]:
        assert any(old in text for text in files.values()), (name, old)
        files = {file: text.replace(old, new) for file, text in files.items()}
    return files
