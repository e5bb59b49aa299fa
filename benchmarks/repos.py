"""A Feast repo with data, in two versions that alternate, so that every apply has work."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

PROJECT = "bench"
DRIVERS = 200
HOURS = 48
END = pd.Timestamp("2026-01-03", tz="UTC")
START = END - pd.Timedelta(hours=HOURS)

_STORE = f"""\
project: {PROJECT}
registry: data/registry.db
provider: local
online_store: {{type: sqlite, path: data/online.db}}
entity_key_serialization_version: 3
"""
_HEAD = """\
from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.types import Float32, Int64

driver = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)
"""
_VIEW = """
source_{n} = FileSource(
    name="source_{n}", path="data/stats.parquet", timestamp_field="event_timestamp",
    created_timestamp_column="created",
)
view_{n} = FeatureView(
    name="view_{n}", entities=[driver], ttl=timedelta(days=365), source=source_{n},
    schema=[Field(name="f0", dtype=Float32), Field(name="f1", dtype=Float32){more}],
    tags={{"version": "{version}"}},
)
"""
_SERVICE = """
service = FeatureService(name="service", features=[view_0, view_1[["f0"]]])
"""


class BenchmarkRepo:
    """One repo on disk; `turn` writes its other version.

    Between the two versions, every view has another tag and every second one another feature, as
    after an ordinary commit to a shared file.
    """

    def __init__(self, folder: Path, views: int, services: Sequence[str] = ()) -> None:
        """Write the first version; `services` are lines of Python that define more services."""
        self.folder, self.views, self.version = folder, views, 0
        self._services = "\n".join([_SERVICE, *services])
        (folder / "data").mkdir(parents=True)
        (folder / "feature_store.yaml").write_text(_STORE)
        _frame().to_parquet(folder / "data/stats.parquet")
        self.turn()

    def turn(self) -> None:
        self.version += 1
        parts = [_HEAD]
        for n in range(self.views):
            wide = n % 2 and self.version % 2
            more = ', Field(name="f2", dtype=Int64)' if wide else ""
            parts.append(_VIEW.format(n=n, more=more, version=self.version % 2))
        (self.folder / "features.py").write_text("".join([*parts, self._services]))


def _frame() -> pd.DataFrame:
    hours = pd.date_range(end=END, periods=HOURS, freq="h")
    index = pd.MultiIndex.from_product([range(DRIVERS), hours], names=["driver_id", "at"])
    frame = index.to_frame(index=False).rename(columns={"at": "event_timestamp"})
    frame["created"] = frame["event_timestamp"]
    frame["f0"] = frame["f1"] = (frame["driver_id"] / 7).astype("float32")
    frame["f2"] = frame["driver_id"]
    return frame
