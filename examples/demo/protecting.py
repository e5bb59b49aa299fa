"""Acts 6 to 8: a change that would break the champion, its override, and a house next door."""

from examples.demo import manifests, screen
from examples.demo.building import VERDICT_TAG, Play
from examples.demo.stage import check

GONE = '        Field(name="complaints", dtype=Int64),\n'
FEATURE = "driver_ratings:complaints"
WHY = "complaints are wrong since the app changed; v2 is in training"


def break_the_champion(play: Play) -> str:
    stage = play.stage
    features = stage.house / "feature_repo" / "features.py"
    text = features.read_text()
    check(GONE in text, "complaints is a feature of driver_ratings")
    screen.note("A commit removes the feature `complaints` from driver_ratings. The check of its")
    screen.note("pull request:")
    features.write_text(text.replace(GONE, ""))
    plan = stage.lineage("plan", str(stage.house), expect=3)
    for word in (FEATURE, "driver_model", "champion"):
        check(word in plan.output, f"the plan names {word}")
    check("activity_model" not in plan.output, "activity_model is not concerned")
    screen.note("Merged all the same:")
    merged = stage.lineage("local", str(stage.house), "--once", expect=1)
    resource = stage.resources(stage.house)
    status = resource[manifests.PROJECT]["status"]
    applied = next(c for c in status["conditions"] if c["type"] == "Applied")
    check(applied["reason"] == "Blocked", "condition Applied is Blocked", applied)
    revision = status["plan"]["revision"][: len("sha256:") + 12]
    for word in (revision, FEATURE, "driver_model"):
        check(word in applied["message"], f"the condition names {word}", applied)
        check(word in merged.output, f"the event names {word}")
    verdict = resource[manifests.CHAMPION]["status"]["lineage"]["verdict"]
    check(verdict == "Verified", "nothing was applied: the champion is as it was", verdict)
    return "blocked before anything was touched; commit, feature and model are named"


def allow_it_once(play: Play) -> str:
    stage = play.stage
    plan = stage.resources(stage.house)[manifests.PROJECT]["status"]["plan"]
    digest = plan["digest"][:12]
    annotation = {"featurelineage.io/allow-breaking": f"{digest}: {WHY}"}
    screen.said(f'metadata.annotations: featurelineage.io/allow-breaking: "{digest}: {WHY}"')
    manifests.project(stage.house, stage.mlflow, play.now, annotation)
    stage.lineage("local", str(stage.house), "--once", expect=1)
    stage.lineage("get", str(stage.house), expect=0)
    resources = stage.resources(stage.house)
    project, champion = resources[manifests.PROJECT], resources[manifests.CHAMPION]
    check(project["status"]["plan"]["verdict"] == "Allowed", "that plan is allowed")
    check(project["status"]["applied"]["revision"] == plan["revision"], "and in effect")
    lineage = champion["status"]["lineage"]
    check(lineage["verdict"] == "Broken", "the champion is Broken", lineage)
    check(lineage["problems"][0]["feature"] == FEATURE, "by the feature that is gone", lineage)
    tags = play.mlflow.version_tags("driver_model", "1")
    check(tags[VERDICT_TAG] == "Broken", "MLflow says so too", tags)
    other = resources[manifests.PLAIN]["status"]["lineage"]["verdict"]
    check(other == "Verified", "the other model is as it was", other)
    runs = play.mlflow.operations("driver_ranking")
    override = runs[-1]["tags"].get("featurelineage.io/override", "")
    check(WHY in override, "the override is on record", runs[-1])
    screen.said(f"MLflow run {runs[-1]['name']}: featurelineage.io/override = {override}")
    results = [run["tags"]["featurelineage.io/result"] for run in runs]
    check("Blocked" in results, "the blocked attempt is on record as well", results)
    return "let through for this plan only; the champion is Broken, and who allowed it is on record"


def observe_elsewhere(play: Play) -> str:
    stage = play.stage
    assert play.airflow is not None
    check(play.airflow.wait() == 0, "the other team's feast apply works", play.airflow.tail())
    repo = stage.elsewhere / "feature_repo"
    play.train("also_as", uri=play.plain_model, model="night_model")
    settings = (repo / "feature_store.yaml").read_text()
    for path in ("data/registry.db", "data/online_store.db"):
        settings = settings.replace(path, str(repo / path))
    manifests.observed(stage.elsewhere, stage.mlflow, settings)
    before = (repo / "data" / "registry.db").read_bytes()
    screen.note("Another team runs `feast apply` in its CI and materializes from Airflow.")
    stage.lineage("local", str(stage.elsewhere), "--once", expect=0)
    stage.lineage("get", str(stage.elsewhere), expect=0)
    resources = stage.resources(stage.elsewhere)
    status = resources[manifests.OBSERVED]["status"]
    makers = {v["name"]: v.get("by") for v in status["featureViews"] if "materializedUntil" in v}
    check(set(makers.values()) == {"External"}, "somebody else materialized them", makers)
    lineage = resources[manifests.OBSERVED_MODEL]["status"]["lineage"]
    check(lineage["verdict"] == "Unchanged", "its model is judged", lineage)
    after = (repo / "data" / "registry.db").read_bytes()
    check(before == after, "their registry is untouched, to the byte")
    return "verdicts and freshness without changing a pipeline: their registry was only read"
