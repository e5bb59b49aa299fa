"""Steps 0 to 5: from manifests to models whose features are known, fresh and recorded."""

import json
import shlex
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from examples.demo import manifests, screen
from examples.demo.facts import MLflow, Sample, scrape
from examples.demo.workspace import BIN, Process, Workspace, check, stop_command
from examples.mlflow_server import free_port
from feature_lineage.api.enums import Verdict

REPO = Path(__file__).parent / "feature_repo"
ELSEWHERE = "driver_ranking_airflow"
VERDICT_TAG = "featurelineage.io/verdict"


@dataclass
class Demo:
    """The state that the steps share.

    Attributes:
        now: the end of the data, a full hour.
        trainer: the process of `trainer.py`.
        airflow: the process of the other team's Feast commands.
        plain_model: URI of the model that was trained without Feast.
    """

    workspace: Workspace
    now: datetime = field(
        default_factory=lambda: datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    )
    trainer: Process | None = None
    airflow: Process | None = None
    plain_model: str = ""

    @property
    def mlflow(self) -> MLflow:
        return MLflow(self.workspace.mlflow)

    def train(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Let the trainer run a function; return its answer."""
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


def start_servers(demo: Demo) -> str:
    """Start MLflow, the trainer and the other team's Feast, which all take seconds to start."""
    from examples.demo.data import write_sources

    workspace = demo.workspace
    workspace.launch_mlflow()
    screen.note(f"MLflow on SQLite starts at {workspace.mlflow}")
    demo.trainer = workspace.start("trainer", [str(BIN / "python"), "-m", "examples.demo.trainer"])
    for folder in (workspace.house, workspace.elsewhere):
        shutil.copytree(REPO, folder / "feature_repo", ignore=shutil.ignore_patterns("__pycache__"))
    rows = write_sources(workspace.house / "feature_repo" / "data", demo.now)
    shutil.copytree(
        workspace.house / "feature_repo" / "data", workspace.elsewhere / "feature_repo" / "data"
    )
    assert workspace.server is not None
    workspace.server.wait_healthy()
    _other_team_applies(demo)
    return f"{rows} rows of driver data, and a real MLflow server"


def _other_team_applies(demo: Demo) -> None:
    """Run plain Feast commands, as CI and Airflow do, for the last step."""
    repo = demo.workspace.elsewhere / "feature_repo"
    settings = repo / "feature_store.yaml"
    settings.write_text(settings.read_text().replace("driver_ranking", ELSEWHERE))
    feast = shlex.quote(str(BIN / "feast"))
    script = f"{feast} apply && {feast} materialize-incremental {demo.now:%Y-%m-%dT%H:%M:%S}"
    demo.airflow = demo.workspace.start_logged("airflow", ["/bin/sh", "-c", script], cwd=repo)


def apply_and_materialize(demo: Demo) -> str:
    workspace = demo.workspace
    manifests.project(workspace.house, workspace.mlflow, demo.now, {})
    workspace.lineage("local", str(workspace.house), "--once", expect=0)
    status = workspace.resources(workspace.house)[manifests.PROJECT]["status"]
    counts = status["counts"]
    check(counts["featureViews"] == 3, "three feature views are applied", counts)
    check(counts["featureServices"] == 2, "two feature services are applied", counts)
    rows = {view["name"]: view.get("rows", 0) for view in status["featureViews"]}
    check(rows.get("driver_hourly_stats", 0) > 0, "driver_hourly_stats has rows online", rows)
    check(rows.get("driver_ratings", 0) > 0, "driver_ratings has rows online", rows)
    total = sum(count or 0 for count in rows.values())
    return (
        f"one manifest: {counts['featureViews']} feature views applied in one transaction, "
        f"{total} rows online; no feast command was needed"
    )


def train_champion(demo: Demo) -> str:
    repo = demo.workspace.house / "feature_repo"
    trained = demo.train(
        "through_feast",
        repo=str(repo),
        service="driver_ranking_v1",
        model="driver_model",
        now=demo.now.isoformat(),
    )
    run = trained["run"]
    check(run.get("feast.feature_service") == "driver_ranking_v1", "Feast tagged the run", run)
    check(trained["version"] == "1", "driver_model has version 1", trained)
    for key in ("feast.feature_service", "feast.feature_count", "feast.feature_refs"):
        screen.said(f"run tag {key} = {run[key]}")
    tags = demo.mlflow.version_tags("driver_model", "1")
    check(
        set(tags) <= {"feast.feature_service"}, "the version has only the name of the service", tags
    )
    return (
        f"driver_model v1 @champion, trained point-in-time on {trained['rows']} rides; Feast "
        "records the features on the run, and only the name of the service on the version"
    )


def train_plainly(demo: Demo) -> str:
    trained = demo.train(
        "through_mlflow",
        source=str(demo.workspace.house / "feature_repo" / "data" / "driver_hourly_stats.parquet"),
        columns=["conv_rate", "acc_rate", "avg_daily_trips"],
        model="activity_model",
    )
    demo.plain_model = trained["uri"]
    tags = demo.mlflow.version_tags("activity_model", trained["version"])
    check(not tags, "MLflow has no record of this version's features", tags)
    return "activity_model v1 @champion by plain MLflow: no tag says which features it uses"


def link_tag_verify(demo: Demo) -> str:
    workspace = demo.workspace
    screen.said("models.yaml: driver_model has records; activity_model declares its service")
    manifests.models(workspace.house)
    workspace.lineage("local", str(workspace.house), "--once", expect=0)
    workspace.lineage("get", str(workspace.house), expect=0)
    resources = workspace.resources(workspace.house)
    champion = resources[manifests.CHAMPION]["status"]["lineage"]
    plain = resources[manifests.PLAIN]["status"]["lineage"]
    for lineage, origin in ((champion, "RunTag"), (plain, "Declared")):
        check(lineage["verdict"] == "Verified", "the model's features are verified", lineage)
        check(lineage["origin"] == origin, f"the origin of the features is {origin}", lineage)
    check(
        "driver_ratings:complaints" in champion["features"],
        "complaints is one of its features",
        champion,
    )
    for model in ("driver_model", "activity_model"):
        tags = demo.mlflow.version_tags(model, "1")
        check(tags.get(VERDICT_TAG) == "Verified", f"{model} v1 has the verdict", tags)
        check(tags.get("feast.project") == "driver_ranking", f"{model} v1 names Feast's project")
        check(tags.get("feast.feature_refs"), f"{model} v1 lists its features", tags)
    screen.note("MLflow now has, on activity_model v1:")
    for key, value in sorted(demo.mlflow.version_tags("activity_model", "1").items()):
        screen.said(f"{key} = {value if len(value) < 90 else value[:87] + '…'}")
    return (
        "each version has tags with its features and with the verdict that they are as in training"
    )


def look_at_metrics(demo: Demo) -> str:
    host, url = start_host(demo)
    # The host loads one resource after the other; a model has a sample for each verdict.
    scrape(url, "feature_lineage_model_verdict", least=2 * len(Verdict))
    samples = scrape(url, "feast_feature_freshness_seconds", least=2)
    fresh = _of(samples, "feast_feature_freshness_seconds")
    verdicts = _of(samples, "feature_lineage_model_verdict", verdict="Verified")
    join = _of(samples, "feature_lineage_model_feature_view_info", model="driver_model")
    check(len(fresh) == 2, "both materialized views have a freshness", *fresh)
    check([s.value for s in verdicts] == [1.0, 1.0], "both models are Verified", *verdicts)
    for sample in (*fresh, *verdicts, *join):
        screen.said(sample.excerpt)
    ages = {sample.labels["feature_view"]: sample.value for sample in fresh}
    feeding = {sample.labels["feature_view"] for sample in join}
    check(feeding >= set(ages), "the join gives the age of the champion's features", feeding)
    oldest = max(ages[view] for view in feeding & set(ages))
    host.stop()
    check(host.popen.returncode == 0, "the host ends with exit code 0", host.tail())
    runs = demo.mlflow.operations("driver_ranking")
    screen.note("MLflow experiment driver_ranking-feast-ops, one run for each operation:")
    for run in runs:
        tags = run["tags"]
        screen.said(f"{run['name']}  {run['status']}  {tags['featurelineage.io/operation-id']}")
    kinds = [run["tags"]["featurelineage.io/operation"] for run in runs]
    check(kinds == ["apply", "materialize"], "one run for each operation", kinds)
    return f"the champion's oldest feature is {oldest / 60:.0f} min old: one join for an alert"


def start_host(demo: Demo) -> tuple[Process, str]:
    """Start the host without --once; return the process and the address of its metrics."""
    port = str(free_port())
    words = ["local", str(demo.workspace.house), "--metrics-port", port]
    screen.command(["feature-lineage", "local", ".demo/house", "--metrics-port", port, "&"])
    host = demo.workspace.start_logged("host", [str(BIN / "feature-lineage"), *words])
    return host, f"http://127.0.0.1:{port}/metrics"


def leave_running(demo: Demo) -> None:
    """Print the addresses, and the command that stops everything."""
    workspace = demo.workspace
    assert demo.trainer is not None
    demo.trainer.stop()
    screen.note("")
    _, url = start_host(demo)
    scrape(url, "feature_lineage_model_verdict")
    mlflow = workspace.mlflow
    groups = workspace.leave_running()
    screen.note(f"MLflow   {mlflow}")
    screen.note(f"Metrics  {url}")
    screen.note(f"Status   {BIN / 'feature-lineage'} get {workspace.house}")
    screen.note(f"Edit     {workspace.house / 'feature_repo' / 'features.py'}")
    screen.note(f"Stop     {stop_command(groups)}")


def _of(samples: list[Sample], name: str, **labels: str) -> list[Sample]:
    return [
        sample
        for sample in samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
