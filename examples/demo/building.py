"""Acts 0 to 5: from manifests to models whose features are known, fresh and on record."""

import json
import shlex
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from examples.demo import manifests, screen
from examples.demo.facts import MLflow, Sample, scrape
from examples.demo.stage import BIN, Process, Stage, check, stop_command
from examples.mlflow_server import free_port

REPO = Path(__file__).parent / "feature_repo"
ELSEWHERE = "driver_ranking_airflow"
VERDICT_TAG = "featurelineage.io/verdict"


@dataclass
class Play:
    """What one act leaves to the next.

    Attributes:
        now: the full hour the data ends at.
        trainer: see `trainer.py`.
        airflow: the other team's Feast.
        plain_model: URI of the model that was logged by plain MLflow.
    """

    stage: Stage
    now: datetime = field(
        default_factory=lambda: datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    )
    trainer: Process | None = None
    airflow: Process | None = None
    plain_model: str = ""

    @property
    def mlflow(self) -> MLflow:
        return MLflow(self.stage.mlflow)

    def train(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Have the trainer do something."""
        assert self.trainer is not None
        process = self.trainer.popen
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        check(answer, f"the trainer answers {do}", self.trainer.tail())
        found: dict[str, Any] = json.loads(answer)
        return found


def set_the_stage(play: Play) -> str:
    """What is slow starts at once: MLflow beside the trainer's imports; then, beside the first act,
    the other team's Feast."""
    from examples.demo.data import write_sources

    stage = play.stage
    stage.launch_mlflow()
    screen.note(f"MLflow on SQLite starts at {stage.mlflow}")
    play.trainer = stage.start("trainer", [str(BIN / "python"), "-m", "examples.demo.trainer"])
    for folder in (stage.house, stage.elsewhere):
        shutil.copytree(REPO, folder / "feature_repo", ignore=shutil.ignore_patterns("__pycache__"))
    rows = write_sources(stage.house / "feature_repo" / "data", play.now)
    shutil.copytree(
        stage.house / "feature_repo" / "data", stage.elsewhere / "feature_repo" / "data"
    )
    assert stage.server is not None
    stage.server.wait_healthy()
    _other_team_applies(play)
    return f"{rows} rows of driver data, and an MLflow server that is the real one"


def _other_team_applies(play: Play) -> None:
    """Plain Feast, by a script as CI and Airflow run it; looked at in the last act."""
    repo = play.stage.elsewhere / "feature_repo"
    settings = repo / "feature_store.yaml"
    settings.write_text(settings.read_text().replace("driver_ranking", ELSEWHERE))
    feast = shlex.quote(str(BIN / "feast"))
    script = f"{feast} apply && {feast} materialize-incremental {play.now:%Y-%m-%dT%H:%M:%S}"
    play.airflow = play.stage.start_logged("airflow", ["/bin/sh", "-c", script], cwd=repo)


def apply_and_materialize(play: Play) -> str:
    stage = play.stage
    manifests.project(stage.house, stage.mlflow, play.now, {})
    stage.lineage("local", str(stage.house), "--once", expect=0)
    status = stage.resources(stage.house)[manifests.PROJECT]["status"]
    counts = status["counts"]
    check(counts["featureViews"] == 3, "three feature views are applied", counts)
    check(counts["featureServices"] == 2, "two feature services are applied", counts)
    rows = {view["name"]: view.get("rows", 0) for view in status["featureViews"]}
    check(rows.get("driver_hourly_stats", 0) > 0, "driver_hourly_stats has rows online", rows)
    check(rows.get("driver_ratings", 0) > 0, "driver_ratings has rows online", rows)
    total = sum(count or 0 for count in rows.values())
    return (
        f"one manifest: {counts['featureViews']} feature views applied in one transaction, "
        f"{total} rows online; nobody ran feast"
    )


def train_champion(play: Play) -> str:
    repo = play.stage.house / "feature_repo"
    trained = play.train(
        "through_feast",
        repo=str(repo),
        service="driver_ranking_v1",
        model="driver_model",
        now=play.now.isoformat(),
    )
    run = trained["run"]
    check(run.get("feast.feature_service") == "driver_ranking_v1", "Feast tagged the run", run)
    check(trained["version"] == "1", "driver_model has version 1", trained)
    for key in ("feast.feature_service", "feast.feature_count", "feast.feature_refs"):
        screen.said(f"run tag {key} = {run[key]}")
    tags = play.mlflow.version_tags("driver_model", "1")
    check(set(tags) <= {"feast.feature_service"}, "the version says no more than a name", tags)
    return (
        f"driver_model v1 @champion, trained point-in-time on {trained['rows']} rides; Feast "
        "tells its features to the run, to the version only the service's name"
    )


def train_plainly(play: Play) -> str:
    trained = play.train(
        "through_mlflow",
        source=str(play.stage.house / "feature_repo" / "data" / "driver_hourly_stats.parquet"),
        columns=["conv_rate", "acc_rate", "avg_daily_trips"],
        model="activity_model",
    )
    play.plain_model = trained["uri"]
    tags = play.mlflow.version_tags("activity_model", trained["version"])
    check(not tags, "MLflow knows nothing of this version's features", tags)
    return "activity_model v1 @champion by plain MLflow: no tag says which features feed it"


def link_tag_verify(play: Play) -> str:
    stage = play.stage
    screen.said("models.yaml: driver_model as recorded; activity_model declares its service")
    manifests.models(stage.house)
    stage.lineage("local", str(stage.house), "--once", expect=0)
    stage.lineage("get", str(stage.house), expect=0)
    resources = stage.resources(stage.house)
    champion = resources[manifests.CHAMPION]["status"]["lineage"]
    plain = resources[manifests.PLAIN]["status"]["lineage"]
    for lineage, origin in ((champion, "RunTag"), (plain, "Declared")):
        check(lineage["verdict"] == "Verified", "the model's features are verified", lineage)
        check(lineage["origin"] == origin, f"they are known by {origin}", lineage)
    check("driver_ratings:complaints" in champion["features"], "complaints counts", champion)
    for model in ("driver_model", "activity_model"):
        tags = play.mlflow.version_tags(model, "1")
        check(tags.get(VERDICT_TAG) == "Verified", f"{model} v1 carries the verdict", tags)
        check(tags.get("feast.project") == "driver_ranking", f"{model} v1 names Feast's project")
        check(tags.get("feast.feature_refs"), f"{model} v1 lists its features", tags)
    screen.note("MLflow now has, on activity_model v1:")
    for key, value in sorted(play.mlflow.version_tags("activity_model", "1").items()):
        screen.said(f"{key} = {value if len(value) < 90 else value[:87] + '…'}")
    return "each version says which features it needs, and that they are what it was trained on"


def look_at_metrics(play: Play) -> str:
    host, url = start_host(play)
    samples = scrape(url, "feast_feature_freshness_seconds")
    fresh = _of(samples, "feast_feature_freshness_seconds")
    verdicts = _of(samples, "feature_lineage_model_verdict", verdict="Verified")
    join = _of(samples, "feature_lineage_model_feature_view_info", model="driver_model")
    check(len(fresh) == 2, "both materialized views have a freshness", *fresh)
    check([s.value for s in verdicts] == [1.0, 1.0], "both models are Verified", *verdicts)
    for sample in (*fresh, *verdicts, *join):
        screen.said(sample.excerpt)
    ages = {sample.labels["feature_view"]: sample.value for sample in fresh}
    feeding = {sample.labels["feature_view"] for sample in join}
    check(feeding >= set(ages), "joined, they say how old the champion's features are", feeding)
    oldest = max(ages[view] for view in feeding & set(ages))
    host.stop()
    check(host.popen.returncode == 0, "the host stops when it is told to", host.tail())
    runs = play.mlflow.operations("driver_ranking")
    screen.note("MLflow experiment driver_ranking-feast-ops, one run for each operation:")
    for run in runs:
        tags = run["tags"]
        screen.said(f"{run['name']}  {run['status']}  {tags['featurelineage.io/operation-id']}")
    kinds = [run["tags"]["featurelineage.io/operation"] for run in runs]
    check(kinds == ["apply", "materialize"], "one run for each operation", kinds)
    return (
        f"the champion's oldest feature is {oldest / 60:.0f} min old: one join, ready to alert on"
    )


def start_host(play: Play) -> tuple[Process, str]:
    """The host as it runs all day; returns it and the address of its metrics."""
    port = str(free_port())
    words = ["local", str(play.stage.house), "--metrics-port", port]
    screen.command(["feature-lineage", "local", ".demo/house", "--metrics-port", port, "&"])
    host = play.stage.start_logged("host", [str(BIN / "feature-lineage"), *words])
    return host, f"http://127.0.0.1:{port}/metrics"


def leave_running(play: Play) -> None:
    """Print where to look, and how to stop it."""
    stage = play.stage
    assert play.trainer is not None
    play.trainer.stop()
    screen.note("")
    _, url = start_host(play)
    scrape(url, "feature_lineage_model_verdict")
    mlflow = stage.mlflow
    groups = stage.leave_running()
    screen.note(f"MLflow   {mlflow}")
    screen.note(f"Metrics  {url}")
    screen.note(f"Status   {BIN / 'feature-lineage'} get {stage.house}")
    screen.note(f"Edit     {stage.house / 'feature_repo' / 'features.py'}")
    screen.note(f"Stop     {stop_command(groups)}")


def _of(samples: list[Sample], name: str, **labels: str) -> list[Sample]:
    return [
        sample
        for sample in samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
