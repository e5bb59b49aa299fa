"""Features of the drivers of a taxi company, for the assignment of rides."""

from datetime import timedelta

import pandas as pd
from feast import (
    Entity,
    FeatureService,
    FeatureView,
    Field,
    FileSource,
    ValueType,
)
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float32, Float64, Int64

driver = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)

driver_hourly_stats = FeatureView(
    name="driver_hourly_stats",
    entities=[driver],
    ttl=timedelta(days=30),
    schema=[
        Field(name="conv_rate", dtype=Float32),
        Field(name="acc_rate", dtype=Float32),
        Field(name="avg_daily_trips", dtype=Int64),
    ],
    source=FileSource(
        name="driver_hourly_stats_source",
        path="data/driver_hourly_stats.parquet",
        timestamp_field="event_timestamp",
        created_timestamp_column="created",
    ),
)

driver_ratings = FeatureView(
    name="driver_ratings",
    entities=[driver],
    ttl=timedelta(days=30),
    schema=[
        Field(name="rating", dtype=Float32),
        Field(name="complaints", dtype=Int64),
    ],
    source=FileSource(
        name="driver_ratings_source",
        path="data/driver_ratings.parquet",
        timestamp_field="event_timestamp",
        created_timestamp_column="created",
    ),
)


@on_demand_feature_view(
    sources=[driver_hourly_stats[["conv_rate"]], driver_ratings[["rating"]]],
    schema=[Field(name="earned_trust", dtype=Float64)],
)
def driver_trust(inputs: pd.DataFrame) -> pd.DataFrame:
    """A good rating has more weight if the driver accepted many rides."""
    output = pd.DataFrame()
    output["earned_trust"] = inputs["conv_rate"].astype("float64") * inputs["rating"].astype(
        "float64"
    )
    return output


driver_ranking_v1 = FeatureService(
    name="driver_ranking_v1",
    features=[
        driver_hourly_stats[["conv_rate", "acc_rate"]],  # not avg_daily_trips
        driver_ratings,
        driver_trust,
    ],
)

driver_activity_v1 = FeatureService(name="driver_activity_v1", features=[driver_hourly_stats])
