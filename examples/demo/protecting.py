"""Steps 6 to 8: a breaking change, its permission, and a project that another tool applies."""

from examples.demo import manifests, screen
from examples.demo.building import VERDICT_TAG, Demo
from examples.demo.workspace import check

GONE = '        Field(name="complaints", dtype=Int64),\n'
FEATURE = "driver_ratings:complaints"
WHY = "complaints are wrong since the app changed; v2 is in training"


def break_the_champion(demo: Demo) -> str:
    workspace = demo.workspace
    features = workspace.house / "feature_repo" / "features.py"
    text = features.read_text()
    check(GONE in text, "complaints is a feature of driver_ratings")
    screen.note("A commit removes the feature `complaints` from driver_ratings. The check of its")
    screen.note("pull request:")
    features.write_text(text.replace(GONE, ""))
    plan = workspace.lineage("plan", str(workspace.house), expect=3)
    for word in (FEATURE, "driver_model", "champion"):
        check(word in plan.output, f"the plan names {word}")
    check("activity_model" not in plan.output, "activity_model is not affected")
    screen.note("The pull request is merged anyway:")
    merged = workspace.lineage("local", str(workspace.house), "--once", expect=1)
    resource = workspace.resources(workspace.house)
    status = resource[manifests.PROJECT]["status"]
    applied = next(c for c in status["conditions"] if c["type"] == "Applied")
    check(applied["reason"] == "Blocked", "condition Applied is Blocked", applied)
    revision = status["plan"]["revision"][: len("sha256:") + 12]
    for word in (revision, FEATURE, "driver_model"):
        check(word in applied["message"], f"the condition names {word}", applied)
        check(word in merged.output, f"the event names {word}")
    verdict = resource[manifests.CHAMPION]["status"]["lineage"]["verdict"]
    check(verdict == "Verified", "nothing was applied: the champion is unchanged", verdict)
    return "blocked before anything was changed; the message names commit, feature and model"


def allow_it_once(demo: Demo) -> str:
    workspace = demo.workspace
    plan = workspace.resources(workspace.house)[manifests.PROJECT]["status"]["plan"]
    digest = plan["digest"][:12]
    annotation = {"featurelineage.io/allow-breaking": f"{digest}: {WHY}"}
    screen.said(f'metadata.annotations: featurelineage.io/allow-breaking: "{digest}: {WHY}"')
    manifests.project(workspace.house, workspace.mlflow, demo.now, annotation)
    workspace.lineage("local", str(workspace.house), "--once", expect=1)
    workspace.lineage("get", str(workspace.house), expect=0)
    resources = workspace.resources(workspace.house)
    project, champion = resources[manifests.PROJECT], resources[manifests.CHAMPION]
    check(project["status"]["plan"]["verdict"] == "Allowed", "that plan is allowed")
    check(project["status"]["applied"]["revision"] == plan["revision"], "and in effect")
    lineage = champion["status"]["lineage"]
    check(lineage["verdict"] == "Broken", "the champion is Broken", lineage)
    check(lineage["problems"][0]["feature"] == FEATURE, "because of the removed feature", lineage)
    tags = demo.mlflow.version_tags("driver_model", "1")
    check(tags[VERDICT_TAG] == "Broken", "MLflow has the same verdict", tags)
    other = resources[manifests.PLAIN]["status"]["lineage"]["verdict"]
    check(other == "Verified", "the other model is unchanged", other)
    runs = demo.mlflow.operations("driver_ranking")
    override = runs[-1]["tags"].get("featurelineage.io/override", "")
    check(WHY in override, "the permission is recorded", runs[-1])
    screen.said(f"MLflow run {runs[-1]['name']}: featurelineage.io/override = {override}")
    results = [run["tags"]["featurelineage.io/result"] for run in runs]
    check("Blocked" in results, "the blocked attempt is recorded too", results)
    return "permitted for this plan only; the champion is Broken, and the reason is recorded"


def observe_elsewhere(demo: Demo) -> str:
    workspace = demo.workspace
    assert demo.airflow is not None
    check(demo.airflow.wait() == 0, "the other team's feast apply works", demo.airflow.tail())
    repo = workspace.elsewhere / "feature_repo"
    demo.train("also_as", uri=demo.plain_model, model="night_model")
    settings = (repo / "feature_store.yaml").read_text()
    for path in ("data/registry.db", "data/online_store.db"):
        settings = settings.replace(path, str(repo / path))
    manifests.observed(workspace.elsewhere, workspace.mlflow, settings)
    before = (repo / "data" / "registry.db").read_bytes()
    screen.note("Another team runs `feast apply` in its CI and materializes from Airflow.")
    workspace.lineage("local", str(workspace.elsewhere), "--once", expect=0)
    workspace.lineage("get", str(workspace.elsewhere), expect=0)
    resources = workspace.resources(workspace.elsewhere)
    status = resources[manifests.OBSERVED]["status"]
    makers = {v["name"]: v.get("by") for v in status["featureViews"] if "materializedUntil" in v}
    check(set(makers.values()) == {"External"}, "another tool materialized them", makers)
    lineage = resources[manifests.OBSERVED_MODEL]["status"]["lineage"]
    check(lineage["verdict"] == "Unchanged", "its model has a verdict", lineage)
    after = (repo / "data" / "registry.db").read_bytes()
    check(before == after, "their registry has the same bytes")
    return "verdicts and freshness without a change of the pipeline: the registry was only read"
