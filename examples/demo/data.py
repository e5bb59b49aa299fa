"""Writes the drivers' data as parquet files, up to the current hour; the same within an hour."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

DRIVERS = range(1001, 1021)
DAYS = 10


def write_sources(folder: Path, now: datetime) -> int:
    """Write the sources of the two feature views; return the number of rows.

    Args:
        folder: ``data`` of a feature repo.
        now: end of the data, a full hour.
    """
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(20)
    hourly = _frame(now, timedelta(hours=1))
    hourly["conv_rate"] = random.uniform(0.2, 0.9, len(hourly)).astype("float32")
    hourly["acc_rate"] = random.uniform(0.5, 1.0, len(hourly)).astype("float32")
    hourly["avg_daily_trips"] = random.integers(5, 60, len(hourly))
    hourly.to_parquet(folder / "driver_hourly_stats.parquet")
    daily = _frame(now, timedelta(days=1))
    daily["rating"] = random.uniform(3.0, 5.0, len(daily)).astype("float32")
    daily["complaints"] = random.poisson(1.5, len(daily))
    daily.to_parquet(folder / "driver_ratings.parquet")
    return len(hourly) + len(daily)


def rides(now: datetime) -> pd.DataFrame:
    """Return the entities and labels of a training set."""
    random = np.random.default_rng(21)
    size = 300
    hours = random.integers(1, (DAYS - 2) * 24, size)
    return pd.DataFrame(
        {
            "driver_id": random.choice(list(DRIVERS), size),
            "event_timestamp": [now - timedelta(hours=int(hour)) for hour in hours],
            "satisfaction": random.uniform(0.0, 1.0, size),
        }
    )


def _frame(now: datetime, step: timedelta) -> pd.DataFrame:
    count = int(timedelta(days=DAYS) / step)
    moments = [now - index * step for index in range(count)]
    index = pd.MultiIndex.from_product([moments, DRIVERS], names=["event_timestamp", "driver_id"])
    frame = index.to_frame(index=False)
    frame["created"] = frame["event_timestamp"]
    return frame
