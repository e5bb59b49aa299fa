"""The CRDs on a real API server."""

import asyncio
import copy
import json
import re
from typing import Any

import pytest
import yaml
from tests.cluster.kubectl import KubectlFailed

from feature_lineage.api.crd import DEFINITIONS, crd_documents
from feature_lineage.errors import RequestRejected
from feature_lineage.kube.kinds import MODELS, PROJECTS

NAMES = [definition.name for definition in DEFINITIONS]
IMAGE = {"image": {"path": "/repo"}}
READY = {
    "type": "Ready",
    "status": "False",
    "reason": "Blocked",
    "message": "1 model would break",
    "lastTransitionTime": "2026-07-01T00:00:00Z",
}


def project(name: str = "drivers", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": PROJECTS.api_version,
        "kind": PROJECTS.kind,
        "metadata": {"name": name},
        "spec": {"project": "driver_ranking", "source": IMAGE, **spec},
    }


def model(name: str = "driver-model", registered: str = "driver_model", **spec: Any):
    return {
        "apiVersion": MODELS.api_version,
        "kind": MODELS.kind,
        "metadata": {"name": name},
        "spec": {
            "projectRef": {"name": "drivers"},
            "model": {"name": registered, "alias": "champion"},
            **spec,
        },
    }


def row(table: str) -> dict[str, str]:
    """Return the one row of `kubectl get` by the header."""
    header, line = table.rstrip("\n").split("\n")
    starts = [match.start() for match in re.finditer(r"\S+", header)]
    ends = [*starts[1:], None]
    return {
        header[start:end].strip(): line[start:end].strip()
        for start, end in zip(starts, ends, strict=True)
    }


def grown(schema: Any, factor: int) -> Any:
    """Return the schema with every bound `factor` times as large."""
    if isinstance(schema, dict):
        bounds = {"maxItems", "maxLength"} & schema.keys()
        rest = {key: grown(value, factor) for key, value in schema.items() if key not in bounds}
        return rest | {key: schema[key] * factor for key in bounds}
    return [grown(item, factor) for item in schema] if isinstance(schema, list) else schema


@pytest.mark.parametrize("name", NAMES)
def test_the_schema_is_structural_and_the_names_are_accepted(name, kubectl):
    stored = json.loads(kubectl("get", "crd", name, "-o", "json"))

    found = {c["type"]: c["status"] for c in stored["status"]["conditions"]}
    assert found == {"NamesAccepted": "True", "Established": "True"}
    assert stored["status"]["storedVersions"] == ["v1alpha1"]


@pytest.mark.parametrize("document", crd_documents(), ids=NAMES)
def test_what_was_applied_is_what_is_stored(document, kubectl):
    stored = json.loads(kubectl("get", "crd", document["metadata"]["name"], "-o", "json"))

    (ours,) = document["spec"]["versions"]
    (theirs,) = stored["spec"]["versions"]
    assert theirs["schema"] == ours["schema"], "the server dropped or added something"
    assert theirs["additionalPrinterColumns"] == ours["additionalPrinterColumns"]
    assert theirs["selectableFields"] == ours["selectableFields"]


@pytest.mark.parametrize("document", crd_documents(), ids=NAMES)
def test_cel_cost_allows_eight_times_larger_bounds(document, kubectl):
    """An API server refuses a CRD with a rule above the cost limit; this measures the distance."""
    larger = copy.deepcopy(document)
    larger["spec"]["versions"] = grown(larger["spec"]["versions"], 8)

    kubectl("replace", "--dry-run=server", "-f", "-", stdin=json.dumps(larger))


def test_a_rule_over_its_budget_would_be_noticed(kubectl):
    document = copy.deepcopy(crd_documents()[0])
    (version,) = document["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    rule = "a.name != ''"
    for variable in "dcba":
        rule = f"self.schedules.all({variable}, {rule})"
    spec["x-kubernetes-validations"].append({"rule": rule, "message": "costs too much"})

    with pytest.raises(KubectlFailed, match="budget"):
        kubectl("replace", "--dry-run=server", "-f", "-", stdin=json.dumps(document))


async def test_the_project_of_a_resource_never_changes(admin, namespace):
    await admin.create(PROJECTS, namespace, project())

    with pytest.raises(RequestRejected, match=r"spec\.project: .*project is immutable: create"):
        await admin.patch(PROJECTS, namespace, "drivers", {"spec": {"project": "other"}})

    changed = await admin.patch(PROJECTS, namespace, "drivers", {"spec": {"suspend": True}})
    assert changed["spec"]["project"] == "driver_ranking"


async def test_kubectl_get_shows_the_columns_of_a_project(admin, namespace, kubectl):
    await admin.create(PROJECTS, namespace, project())
    status = {
        "applied": {"revision": "3f78685"},
        "counts": {"staleViews": 2, "brokenModels": 1},
        "conditions": [READY, {**READY, "type": "Materialized", "reason": "ViewsFailing"}],
    }
    patch = {"status": status}
    await admin.patch(PROJECTS, namespace, "drivers", patch, subresource="status")

    shown = row(kubectl("get", "fsp", f"--namespace={namespace}"))

    age = shown.pop("AGE")
    assert re.fullmatch(r"\d+m?s", age)
    assert shown == {
        "NAME": "drivers",
        "PROJECT": "driver_ranking",
        "REVISION": "3f78685",
        "READY": "False",
        "REASON": "Blocked",
        "MATERIALIZED": "False",
        "STALE": "2",
        "BROKEN": "1",
    }


async def test_kubectl_get_shows_the_columns_of_a_model(admin, namespace, kubectl):
    await admin.create(MODELS, namespace, model())
    status = {
        "resolved": {"version": "3"},
        "lineage": {"featureService": "driver_v1", "verdict": "Broken"},
        "freshness": {"fresh": False},
        "conditions": [{**READY, "reason": "Broken"}],
    }
    patch = {"status": status}
    await admin.patch(MODELS, namespace, "driver-model", patch, subresource="status")

    shown = row(kubectl("get", "ftm", f"--namespace={namespace}"))

    age = shown.pop("AGE")
    assert re.fullmatch(r"\d+m?s", age)
    assert shown == {
        "NAME": "driver-model",
        "MODEL": "driver_model",
        "VERSION": "3",
        "SERVICE": "driver_v1",
        "VERDICT": "Broken",
        "FRESH": "false",
        "READY": "False",
        "REASON": "Broken",
    }


async def test_short_names_and_the_category_find_both_kinds(admin, namespace, kubectl):
    await admin.create(PROJECTS, namespace, project())
    await admin.create(MODELS, namespace, model())

    both = kubectl("get", "featurelineage", f"--namespace={namespace}", "-o=name").split()

    assert both == [
        "featurestoreproject.featurelineage.io/drivers",
        "trainedmodel.featurelineage.io/driver-model",
    ]
    assert kubectl("get", "fsp", f"--namespace={namespace}", "-o=name").split() == both[:1]
    assert kubectl("get", "ftm", f"--namespace={namespace}", "-o=name").split() == both[1:]


async def test_objects_are_found_by_their_selectable_fields(admin, namespace, kubectl):
    await admin.create(PROJECTS, namespace, project("one", project="a"))
    await admin.create(PROJECTS, namespace, project("two", project="b"))
    await admin.create(MODELS, namespace, model("m1", "first"))
    await admin.create(MODELS, namespace, model("m2", "second"))
    await admin.create(MODELS, namespace, model("m3", "first", projectRef={"name": "riders"}))

    def found(kind: str, selector: str) -> list[str]:
        select = ("get", kind, f"--namespace={namespace}", f"--field-selector={selector}")
        return kubectl(*select, "-o=jsonpath={.items[*].metadata.name}").split()

    assert found("fsp", "spec.project=b") == ["two"]
    assert found("ftm", "spec.model.name=first") == ["m1", "m3"]
    assert found("ftm", "spec.model.name=first,spec.projectRef.name=drivers") == ["m1"]
    listed = [m async for m in admin.list(MODELS, namespace, fields="spec.projectRef.name=riders")]
    assert [m["metadata"]["name"] for m in listed] == ["m3"]


async def test_only_spec_changes_increase_the_generation(admin, namespace, kubectl):
    created = await admin.create(PROJECTS, namespace, {**project(), "status": {"sequence": 9}})
    assert created["status"] == {"observedGeneration": -1}
    assert created["metadata"]["generation"] == 1

    seen = {"status": {"sequence": 4}, "spec": {"suspend": True}}
    seen = await admin.patch(PROJECTS, namespace, "drivers", seen, subresource="status")
    assert seen["status"] == {"observedGeneration": -1, "sequence": 4}
    assert seen["spec"]["suspend"] is False
    assert seen["metadata"]["generation"] == 1

    put = {**seen, "spec": {**seen["spec"], "suspend": True}, "status": {"sequence": 0}}
    kubectl("replace", f"--namespace={namespace}", "-f", "-", stdin=json.dumps(put))
    after = await admin.get(PROJECTS, namespace, "drivers")
    assert after["status"] == {"observedGeneration": -1, "sequence": 4}
    assert after["spec"]["suspend"] is True
    assert after["metadata"]["generation"] == 2


async def test_a_status_that_is_no_status_is_refused(admin, namespace):
    await admin.create(MODELS, namespace, model())
    wrong = {"status": {"conditions": [{**READY, "status": "Perhaps"}]}}

    with pytest.raises(RequestRejected, match=r"status\.conditions\[0\]\.status"):
        await admin.patch(MODELS, namespace, "driver-model", wrong, subresource="status")


async def test_items_of_a_list_map_belong_to_who_applied_them(admin, namespace, kubectl):
    def apply(manager: str, schedule: str) -> None:
        schedules = [{"name": schedule, "cron": "5 * * * *", "incremental": {}}]
        who = ("apply", "--server-side", f"--field-manager={manager}", f"--namespace={namespace}")
        kubectl(*who, "-f", "-", stdin=json.dumps(project(schedules=schedules)))

    apply("one", "hourly")
    apply("two", "nightly")
    apply("one", "weekly")

    stored = await admin.get(PROJECTS, namespace, "drivers")
    assert {s["name"] for s in stored["spec"]["schedules"]} == {"nightly", "weekly"}


@pytest.mark.parametrize(
    ("status", "field"),
    [
        ({"conditions": [READY, READY]}, r"status\.conditions\[1\]: Duplicate value"),
        ({"featureViews": [{"name": "v"}] * 2}, r"status\.featureViews\[1\]: Duplicate value"),
    ],
)
async def test_no_two_items_of_a_list_map_have_one_key(status, field, admin, namespace):
    await admin.create(PROJECTS, namespace, project())

    patch = {"status": status}

    with pytest.raises(RequestRejected, match=field):
        await admin.patch(PROJECTS, namespace, "drivers", patch, subresource="status")


def without_absent(value: Any) -> Any:
    """Return a value as Kubernetes prints it: our empty lists and maps are absent there."""
    if isinstance(value, dict):
        kept = {key: without_absent(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item not in ({}, [], None)}
    return [without_absent(item) for item in value] if isinstance(value, list) else value


MINIMAL = yaml.safe_load("""
project: driver_ranking
source: {git: {url: https://git.example.org/a.git, ref: {branch: main}}}
registry: {}
schedules: [{name: hourly, cron: 5 * * * *, window: {duration: 1h}}]
backfills: [{name: q3, start: "2026-07-01T00:00:00Z", end: "2026-10-01T00:00:00Z"}]
mlflow: {serverRef: prod}
""")


async def test_the_server_fills_in_the_defaults_of_the_models(admin, namespace):
    spec = DEFINITIONS[0].spec.model_validate(MINIMAL)
    other = model()
    other_spec = DEFINITIONS[1].spec.model_validate(other["spec"])

    stored, stored_model = await asyncio.gather(
        admin.create(PROJECTS, namespace, {**project(), "spec": MINIMAL}),
        admin.create(MODELS, namespace, other),
    )

    assert without_absent(stored["spec"]) == without_absent(spec.as_dict())
    assert without_absent(stored_model["spec"]) == without_absent(other_spec.as_dict())
    assert stored["spec"]["mlflow"]["pollInterval"] == "30s"


@pytest.mark.parametrize("source", ["hostPath", "nfs"])
async def test_a_refused_volume_is_refused_without_validation_too(source, admin, namespace):
    """Without a word, the API server would remove the field, and the job get an empty folder."""
    volumes = [{"name": "disk", source: {"path": "/"}}]
    body = project(runtime={"volumes": volumes})

    with pytest.raises(RequestRejected, match=r"runtime\.volumes\[0\].*hostPath and the other"):
        await admin.create(PROJECTS, namespace, body)


def test_kubectl_explains_every_field_of_the_spec(kubectl):
    explained = kubectl("explain", "fsp.spec.apply.protection.maxGuardAge")

    assert "How old facts about models may be for an apply, at least 1s." in " ".join(
        explained.split()
    )
