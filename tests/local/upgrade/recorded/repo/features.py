from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.types import Float64

driver = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)
source = FileSource(name="rows", path="data/rows.parquet", timestamp_field="event_timestamp")


def view(name, features):
    return FeatureView(
        name=name, entities=[driver], ttl=timedelta(days=30), source=source,
        schema=[Field(name=feature, dtype=Float64) for feature in features],
    )


stats = view("stats", ["conv_rate", "acc_rate", "trips"])
odd = view("odd", ["max,rate", "low"])
other = view("other", ["kept"])
svc_other = FeatureService(name="svc_other", features=[other])
svc_a = FeatureService(name="svc_a", features=[stats[["conv_rate", "trips"]]])
svc_b = FeatureService(name="svc_b", features=[stats[["acc_rate"]]])
svc_odd = FeatureService(name="svc_odd", features=[odd])
