"""Feature repos for the tests of the runner, and changes of their contents."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import dedent, indent

import pandas as pd
from tests.contract.runner.stores import Stores

NOW = datetime.now(UTC).replace(microsecond=0)

RICH = """
from datetime import timedelta

import pandas as pd
from feast import (
    BatchFeatureView, Entity, FeatureService, FeatureView, Field, FileSource, KafkaSource,
    PushSource, RequestSource, ValueType,
)
from feast.data_format import JsonFormat
from feast.labeling import LabelView
from feast.on_demand_feature_view import on_demand_feature_view
from feast.permissions.action import AuthzedAction
from feast.permissions.permission import Permission
from feast.permissions.policy import RoleBasedPolicy
from feast.stream_feature_view import stream_feature_view
from feast.types import Float32, Float64, Int64, String

from helpers import scaled

driver = Entity(
    name="driver", join_keys=["driver_id"], value_type=ValueType.INT64,
    tags={"project": "x", "meta": "kept", "team": "rank"},
)
city = Entity(name="city", join_keys=["city_id"], value_type=ValueType.INT64)
stats = FileSource(
    name="stats", path="data/stats.parquet", timestamp_field="event_timestamp",
    created_timestamp_column="created",
)
driver_stats = FeatureView(
    name="driver_stats", entities=[driver], ttl=timedelta(days=365),
    schema=[Field(name="conv_rate", dtype=Float32), Field(name="trips", dtype=Int64)],
    source=stats, tags={"tier": "gold"},
)
inferred = FeatureView(name="inferred", entities=[driver, city], source=stats)
pushed = FeatureView(
    name="pushed", entities=[driver], schema=[Field(name="conv_rate", dtype=Float32)],
    source=PushSource(name="push", batch_source=stats),
)
batched = BatchFeatureView(
    name="batched", entities=[driver], schema=[Field(name="trips", dtype=Int64)], source=stats,
    mode="python", udf=lambda x: x, udf_string="x",
)


@stream_feature_view(
    entities=[driver], ttl=timedelta(days=1), mode="pandas", timestamp_field="event_timestamp",
    schema=[Field(name="conv_rate", dtype=Float32)], online=True,
    source=KafkaSource(
        name="kafka", timestamp_field="event_timestamp", batch_source=stats, topic="t",
        kafka_bootstrap_servers="nowhere:9092", message_format=JsonFormat("conv_rate double"),
    ),
)
def streamed(frame):
    return frame


@on_demand_feature_view(
    sources=[driver_stats, RequestSource(name="asked", schema=[Field(name="x", dtype=Int64)])],
    schema=[Field(name="conv_plus", dtype=Float64)],
)
def plus(df: pd.DataFrame) -> pd.DataFrame:
    out = pd.DataFrame()
    out["conv_plus"] = scaled(df["conv_rate"]) + df["x"]
    return out


labels = LabelView(
    name="labels", source=PushSource(name="label_push", batch_source=stats), entities=[driver],
    schema=[Field(name="label", dtype=String), Field(name="labeler", dtype=String)],
    labeler_field="labeler",
)
activity = FeatureService(
    name="activity", features=[driver_stats[["trips"]], plus, inferred.with_name("renamed")],
)
reader = Permission(
    name="reader", types=[FeatureView], policy=RoleBasedPolicy(roles=["r"]),
    actions=[AuthzedAction.DESCRIBE, AuthzedAction.READ_ONLINE],
)
"""
HELPERS = """
FACTOR = 3


class Scale:
    offset = 0

    def apply(self, value):
        return value * FACTOR + self.offset


SCALE = Scale()


def scaled(value):
    return SCALE.apply(value)
"""


class Repo:
    """One feature repo on disk."""

    def __init__(self, path: Path, stores: Stores, project: str = "ranking") -> None:
        self.path, self.stores, self.project = path, stores, project
        (path / "data").mkdir(parents=True)
        (path / "feature_store.yaml").write_text(self.yaml())
        frame().to_parquet(path / "data/stats.parquet")

    def yaml(self, project: str | None = None) -> str:
        head = f"project: {project or self.project}\nprovider: local\n"
        return f"{head}entity_key_serialization_version: 3\n{self.stores.yaml}"

    def write(self, text: str, name: str = "features.py") -> "Repo":
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text))
        return self

    def rich(self) -> "Repo":
        """A repo with one object of every kind."""
        return self.write(HELPERS, "helpers.py").write(RICH)

    def edit(self, old: str, new: str, name: str = "features.py") -> "Repo":
        text = (self.path / name).read_text()
        assert old in text
        (self.path / name).write_text(text.replace(old, new))
        return self

    def views(self, **views: str) -> "Repo":
        """Simple views: name → features as ``a:Int64 b:Float32``."""
        return self.write(simple(**views))


def frame() -> pd.DataFrame:
    """Three drivers with one row each, an hour apart."""
    hours = [timedelta(hours=hour) for hour in (1, 2, 3)]
    return pd.DataFrame(
        {
            "driver_id": [1, 2, 3],
            "city_id": [1, 1, 2],
            "event_timestamp": [NOW - hour for hour in hours],
            "created": NOW,
            "conv_rate": pd.Series([0.1, 0.2, 0.3], dtype="float32"),
            "trips": [10, 20, 30],
        }
    )


def simple(**views: str) -> str:
    """Return the text of a repo with plain feature views over one source."""
    parts = [
        """
        from datetime import timedelta
        from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
        from feast.types import Float32, Float64, Int64, String

        driver = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)
        stats = FileSource(
            name="stats", path="data/stats.parquet", timestamp_field="event_timestamp",
            created_timestamp_column="created",
        )
        """
    ]
    for name, features in views.items():
        pairs = (feature.split(":") for feature in features.split())
        fields = ", ".join(f'Field(name="{field}", dtype={kind})' for field, kind in pairs)
        text = f'{name} = FeatureView(name="{name}", entities=[driver], ttl=timedelta(days=365), '
        parts.append(indent(f"{text}schema=[{fields}], source=stats)", " " * 8))
    return dedent("\n".join(parts))
