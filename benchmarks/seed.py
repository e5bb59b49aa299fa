"""Fills an MLflow server on sqlite with model versions and their runs in a second.

One of each is created through MLflow's own API and then copied in the database, with all columns: a
thousand versions through the API take a minute and give the same rows.
"""

import random
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from benchmarks.project_fixture import PER_MODEL, PROJECT, SyntheticProject, training_refs

_API = "/api/2.0/mlflow/"


def seed(url: str, database: Path, versions: int, *, per_model: int = PER_MODEL) -> None:
    """Create this number of finished runs with Feast's tags, and a version of each.

    Args:
        per_model: versions of each model; the last one is its champion.
    """
    run_id = _template(url)
    chance, synthetic = random.Random(versions), SyntheticProject()
    with sqlite3.connect(database, timeout=30) as connection:
        connection.row_factory = sqlite3.Row
        rows = {
            table: [dict(row) for row in connection.execute(f"SELECT * FROM {table}")]
            for table in ("registered_models", "model_versions", "registered_model_aliases")
        }
        for table, where in (("runs", "run_uuid"), ("tags", "run_uuid")):
            found = connection.execute(f"SELECT * FROM {table} WHERE {where} = ?", (run_id,))
            rows[table] = [dict(row) for row in found]
        for table in ("model_versions", "registered_model_aliases", "registered_models"):
            connection.execute(f"DELETE FROM {table}")
        for number in range(versions):
            _one(connection, rows, number, per_model, training_refs(synthetic, chance))
        connection.execute("DELETE FROM tags WHERE run_uuid = ?", (run_id,))
        connection.execute("DELETE FROM runs WHERE run_uuid = ?", (run_id,))


def _one(
    connection: sqlite3.Connection,
    rows: Mapping[str, list[dict[str, Any]]],
    number: int,
    per_model: int,
    refs: list[str],
) -> None:
    run_id, name = f"{number:032x}", f"model_{number // per_model:05}"
    version = number % per_model + 1
    _insert(connection, "runs", rows["runs"][0], run_uuid=run_id, name=f"run-{number}")
    texts = {"feast.feature_refs": ",".join(refs), "feast.feature_count": str(len(refs))}
    for tag in rows["tags"]:
        value = texts.get(tag["key"], tag["value"])
        _insert(connection, "tags", tag, run_uuid=run_id, value=value)
    if version == 1:
        _insert(connection, "registered_models", rows["registered_models"][0], name=name)
    # A millisecond apart: a reader finds newer versions by the time of their change.
    born = rows["model_versions"][0]["creation_time"] + number
    _insert(
        connection,
        "model_versions",
        rows["model_versions"][0],
        name=name,
        version=version,
        run_id=run_id,
        creation_time=born,
        last_updated_time=born,
    )
    if version == per_model:
        alias = rows["registered_model_aliases"][0]
        _insert(connection, "registered_model_aliases", alias, name=name, version=version)


def _insert(
    connection: sqlite3.Connection, table: str, row: Mapping[str, Any], **changes: Any
) -> None:
    values = {**row, **changes}
    columns, marks = ", ".join(values), ", ".join("?" * len(values))
    connection.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", list(values.values()))


def _template(url: str) -> str:
    """One run with tags and one version with an alias, as MLflow writes them; the run's id."""
    with httpx.Client(base_url=url + _API, timeout=60) as client:

        def post(path: str, **body: Any) -> Any:
            answer = client.post(path, json=body)
            answer.raise_for_status()
            return answer.json()

        tags = {
            "feast.project": PROJECT,
            "feast.feature_refs": "to be written",
            "feast.feature_count": "0",
            "mlflow.user": "somebody",
            "mlflow.source.name": "train.py",
        }
        pairs = [{"key": key, "value": value} for key, value in tags.items()]
        run = post("runs/create", experiment_id="0", run_name="run", start_time=1, tags=pairs)
        run_id = str(run["run"]["info"]["run_id"])
        post("runs/update", run_id=run_id, status="FINISHED", end_time=2)
        post("registered-models/create", name="template")
        post("model-versions/create", name="template", source=f"runs:/{run_id}/m", run_id=run_id)
        post("registered-models/alias", name="template", alias="champion", version="1")
        return run_id
