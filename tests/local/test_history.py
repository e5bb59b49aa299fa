"""The history of a project, from its first alias to a failing view, read by the command line."""

import asyncio
import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.local.conftest import run_once
from tests.local.scene import (
    FEATURES,
    MLflow,
    backfill,
    model_manifest,
    project_manifest,
    write_repo,
    write_yaml,
)
from tests.local.state_reader import command, read_state
from tests.local.test_failing_views import MORE_VIEWS
from tests.local.test_mlflow_trouble import tcp_forwarder

REFS = ["driver_hourly_stats:conv_rate", "driver_hourly_stats:trips"]


def now() -> str:
    return datetime.now(UTC).isoformat()


async def asked(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """``feature-lineage history``, while this process forwards its requests."""
    return await asyncio.to_thread(command, "history", str(folder), *options)


async def told(folder: Path, *options: str) -> dict[str, Any]:
    """The answer of ``feature-lineage history`` about the one project."""
    done = await asked(folder, "-o", "json", *options)
    assert done.returncode == 0, done.stderr
    (answer,) = json.loads(done.stdout)
    return dict(answer)


def moves(answer: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    return [
        (move["alias"], move["before"], move["after"], move["why"])
        for entry in answer["entries"]
        if entry["kind"] == "Aliases"
        for move in entry["moves"]
    ]


@pytest.mark.slow
async def test_what_was_when_is_found_again(
    tmp_path: Path, mlflow: MLflow, unique: Callable[[str], str]
) -> None:
    project = unique("history")
    model = f"{project}_model"
    repo = write_repo(tmp_path / "repo", project, FEATURES + MORE_VIEWS)
    whole = pd.read_parquet(repo / "data" / "stats.parquet")
    whole.to_parquet(repo / "data" / "timeless.parquet")
    whole.assign(trips=whole["trips"].where(whole["driver_id"] != 1001)).to_parquet(
        repo / "data" / "gone.parquet"
    )
    for _ in range(3):
        mlflow.train(model, project, REFS, alias=None)
    async with tcp_forwarder(mlflow.url) as forwarder:

        def write(**spec: Any) -> None:
            document = project_manifest(project, forwarder.url, **spec)
            write_yaml(tmp_path / "m.yaml", document, model_manifest(model))

        write()
        before = now()
        await run_once(tmp_path)  # a first apply; before, an alias would hold it
        mlflow.set_alias(model, "champion", "1")
        assert await run_once(tmp_path)
        applied = now()

        # Two moves between two readings are one; a restart in between changes nothing.
        mlflow.set_alias(model, "champion", "2")
        mlflow.set_alias(model, "champion", "3")
        assert await run_once(tmp_path)
        assert await run_once(tmp_path)
        moved = now()

        # A move during an outage is seen after it.
        await forwarder.shut()
        mlflow.set_alias(model, "champion", "1")
        mlflow.delete("model-versions/delete", name=model, version="2")
        mlflow.set_alias(model, "shadow", "3")
        await run_once(tmp_path)
        assert read_state(tmp_path).state("FactsCurrent") == ("False", "MLflowViewOld")
        await forwarder.open()
        (repo / "data" / "timeless.parquet").unlink()
        write(backfills=[backfill()], runtime={"retries": 0})
        await run_once(tmp_path)

        assert read_state(tmp_path).state("Recorded")[0] == "True"
        answer = await told(tmp_path)
        assert answer["resource"] == "fsp/driver"
        assert moves(answer) == [
            ("champion", "1", "3", ""),
            ("champion", "3", "1", ""),
            ("shadow", "", "3", ""),
        ]
        operations = [each for each in answer["entries"] if each["kind"] == "Operation"]
        commands = [each["command"] for each in operations]
        assert commands == ["apply", "apply", "materialize"], "the second by the changed spec"
        views = {view["name"]: view for view in operations[-1]["views"]}
        assert operations[-1]["result"] == "Partial"
        assert {name: view["result"] for name, view in views.items()} == {
            "driver_hourly_stats": "Succeeded",
            "gone": "Succeeded",
            "timeless": "Failed",
        }
        assert "data/timeless.parquet does not exist" in views["timeless"]["error"]
        assert (views["gone"]["rows"], views["driver_hourly_stats"]["rows"]) == (5, 5)
        assert views["gone"]["nulls"] == {"trips": 1}
        assert views["driver_hourly_stats"]["nulls"] == {}
        assert views["gone"]["newestEvent"] is not None
        assert views["gone"]["seconds"] > 0

        # As of a time, and in pages.
        assert (await told(tmp_path, "--as-of", before))["aliases"] is None
        first = await told(tmp_path, "--as-of", applied)
        assert first["aliases"]["of"] == {model: {"champion": "1"}}
        digest = read_state(tmp_path).status["applied"]["registryDigest"]
        assert first["registry"]["digest"] == digest
        assert first["registry"]["operation"] == operations[0]["operation"]
        assert [each["command"] for each in first["operations"]] == ["apply"]
        assert (await told(tmp_path, "--as-of", moved))["aliases"]["of"] == {
            model: {"champion": "3"}
        }
        latest = (await told(tmp_path, "--as-of", "0s"))["aliases"]["of"]
        assert latest == {model: {"champion": "1", "shadow": "3"}}
        pages, after = [], None
        for _ in answer["entries"]:
            page = await told(tmp_path, "--limit", "1", *(["--after", after] if after else []))
            pages += page["entries"]
            after = page["after"]
        assert (pages, after) == (answer["entries"], None)
        assert moves(await told(tmp_path, "--since", moved)) == moves(answer)[1:]

        text = (await asked(tmp_path, "driver")).stdout
        assert f"{model}@champion" in text
        assert "1 -> 3" in text
        assert "nulls: trips 1" in text
        assert "champion" in (await asked(tmp_path, "--as-of", moved)).stdout

        # An error is no empty answer.
        await forwarder.shut()
        failed = await asked(tmp_path)
        assert (failed.returncode, failed.stdout) == (2, "")
        assert "check that the server runs" in failed.stderr
        reversed_times = ["--since", "1h", "--until", "2h"]
        for options in (["--since", "yesterday"], ["--after", "1"], reversed_times):
            assert (await asked(tmp_path, *options)).returncode == 2
        unknown = await asked(tmp_path, "other")
        assert unknown.returncode == 2
        assert "no FeatureStoreProject other with spec.mlflow" in unknown.stderr
        assert "of a deleted project, write its manifest into a folder" in unknown.stderr
