"""A service with one view under three names, and changes of it with the problems they cause."""

from tests.local.scene import FEATURES

ROUTES = (
    FEATURES.replace("import Entity,", "import Entity, RequestSource,")
    .replace(
        "from feast.types",
        "from feast.on_demand_feature_view import on_demand_feature_view\nfrom feast.types",
    )
    .replace(
        "from datetime import timedelta\n",
        "from datetime import timedelta\n\nimport pandas as pd\n",
    )
    + """
asked = RequestSource(name="asked", schema=[Field(name="hour", dtype=Int64)])


late = Field(name="late", dtype=Int64)


@on_demand_feature_view(sources=[driver_hourly_stats, asked], schema=[late])
def lateness(df: pd.DataFrame) -> pd.DataFrame:
    out = pd.DataFrame()
    out["late"] = df["trips"] + df["hour"]
    return out


def part(name, *columns, **keys):
    view = driver_hourly_stats[list(columns)]
    return view.with_name(name).with_join_key_map(keys)


routes = FeatureService(
    name="routes",
    features=[
        part("origin", "trips", driver_id="origin_id"),
        part("dest", "trips", driver_id="dest_id"),
        part("main", "conv_rate"),
        lateness,
    ],
)
"""
)
ORIGIN = '        part("origin", "trips", driver_id="origin_id"),\n'
DEST = '        part("dest", "trips", driver_id="dest_id"),\n'
SWAPPED = ROUTES.replace(
    ORIGIN + DEST, ORIGIN.replace("origin_id", "dest_id") + DEST.replace("dest_id", "origin_id")
)
CHANGES = {
    "nothing": (ROUTES + "\n# a comment", set()),
    "the maps are swapped": (SWAPPED, {"JoinKeysChanged"}),
    "disabled": (ROUTES.replace("ttl=", "enabled=False, ttl="), {"ViewDisabled", "ServingFails"}),
    "not online": (ROUTES.replace("ttl=", "online=False, ttl="), {"NotOnline"}),
    "another name in the service": (
        ROUTES.replace('"origin"', '"start"'),
        {"ColumnRenamed"},
    ),
    "one view less in the service": (
        ROUTES.replace(DEST, ""),
        {"ColumnGone", "JoinKeysChanged"},
    ),
    "another order": (ROUTES.replace(ORIGIN + DEST, DEST + ORIGIN), {"ServiceReordered"}),
    "one column more": (
        ROUTES.replace('"main", "conv_rate"', '"main", "conv_rate", "acc_rate"'),
        {"ServiceGrew"},
    ),
    "another field of the request": (
        ROUTES.replace('name="hour"', 'name="minute"').replace('df["hour"]', 'df["minute"]'),
        {"RequestChanged", "SourceChanged", "TransformationChanged"},
    ),
    "another type of the request": (
        ROUTES.replace('name="hour", dtype=Int64', 'name="hour", dtype=Float32').replace(
            'df["hour"]', 'df["hour"].astype("int64")'
        ),
        {"RequestChanged", "SourceChanged", "TransformationChanged"},
    ),
    "a type of the entity": (
        ROUTES.replace("ValueType.INT64", "ValueType.STRING"),
        {"JoinKeysChanged", "SourceChanged"},
    ),
    "an unknown name in the function": (
        ROUTES.replace('= df["trips"] +', '= Int64 and df["trips"] +'),
        {"ServingFails", "TransformationChanged"},
    ),
}

PAIRS = (
    ROUTES
    + """
start = Entity(name="start", join_keys=["start_id"], value_type=ValueType.INT64)
end = Entity(name="end", join_keys=["end_id"], value_type=ValueType.INT64)
pairs = FeatureView(
    name="pairs", entities=[start, end], ttl=timedelta(days=365), source=source,
    schema=[
        Field(name="start_id", dtype=Int64),
        Field(name="end_id", dtype=Int64),
        Field(name="trips", dtype=Int64),
    ],
)


def renamed():
    return pairs.with_join_key_map({"start_id": "x", "end_id": "y"})


@on_demand_feature_view(sources=[renamed()], schema=[Field(name="twice", dtype=Int64)])
def doubled(df: pd.DataFrame) -> pd.DataFrame:
    out = pd.DataFrame()
    out["twice"] = df["trips"] * 2
    return out


pair_service = FeatureService(name="pair_service", features=[doubled])
"""
)
PAIRS_SWAPPED = PAIRS.replace(
    '{"start_id": "x", "end_id": "y"}', '{"start_id": "y", "end_id": "x"}'
)
