"""Forged and contradicting records on real Feast and real MLflow: no crash, no false Verified.

The records are written by requests, because Feast does not write such.
"""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from tests.local.conftest import EventRecorder, run_once
from tests.local.lineage import training_scenes
from tests.local.scene import FEATURE_STORE, MLflow, model_manifest, project_manifest, write_yaml
from tests.local.state_reader import read_state, state_file

CPU_SECONDS: Final = 60.0
"""Of the host for all forgeries; it needs about a tenth."""
STATUS_BYTES: Final = 256 * 1024
A: Final = "stats:conv_rate,stats:trips"
UNKNOWN: Final = ("Unknown", "NoFeastLineage")
AMBIGUOUS: Final = ("False", "Ambiguous")
BROKEN: Final = ("False", "Broken")
VERIFIED: Final = ("True", "Verified")
"""The list is that of training all the same: spaces and unreadable numbers are ignored."""
MISMATCH: Final = ("True", "ServiceMismatch")
VIEWS: Final = "".join(f'v{n} = view("view_{n:03}", ["f0", "f1"])\n' for n in range(700))
MARKUP: Final = "<script>alert(1)</script>"
YAML: Final = "- &a [*a]\n!!python/object:os.system {x: y}"
CONTROL: Final = "stats:\x1b]0;owned\x07trips\u202e\u2028"


@dataclass(frozen=True)
class Forgery:
    """A version with forged records, and the answer.

    Attributes:
        refs: tag ``feast.feature_refs`` of the run; "" for none.
        count: ``feast.feature_count``; None for the number of references.
        tags: other tags of the run.
        version_tags: tags of the version.
        artifact: content of ``feast_features.json``.
        retrievals: points of ``feast.job_submission_sec``.
        answer: status and reason of `LineageVerified`.
    """

    answer: tuple[str, str]
    refs: str = A
    count: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    version_tags: dict[str, str] = field(default_factory=dict)
    artifact: str | None = None
    retrievals: int = 0


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


FORGERIES: Final[dict[str, Forgery]] = {
    # What the registry does not spell so
    "another-case": Forgery(BROKEN, "STATS:conv_rate,Stats:TRIPS"),
    "spaces": Forgery(VERIFIED, " stats:conv_rate , stats:trips "),
    "look-alike-letters": Forgery(BROKEN, "st\u0430ts:conv_rate,stats:trips"),
    "no-references": Forgery(AMBIGUOUS, "conv_rate,trips,::,:,@v2:x"),
    "version-that-is-none": Forgery(AMBIGUOUS, "stats@v99999999999999999999:trips"),
    "control-characters": Forgery(BROKEN, CONTROL),
    "markup": Forgery(BROKEN, f"{MARKUP}:{MARKUP}"),
    "yaml": Forgery(AMBIGUOUS, f"{YAML}:trips"),
    "format-string": Forgery(BROKEN, "{0.__class__}:%s%n"),
    "null-character": Forgery(BROKEN, "stats:tr\\u0000ips"),
    # Numbers
    "count-too-large": Forgery(AMBIGUOUS, count="99"),
    "count-negative": Forgery(VERIFIED, count="-2"),
    "count-no-number": Forgery(VERIFIED, count="NaN"),
    "count-huge": Forgery(VERIFIED, count="9" * 4000),
    # Services
    "another-service": Forgery(MISMATCH, tags={"feast.feature_service": "svc_b"}),
    "no-service": Forgery(BROKEN, tags={"feast.feature_service": MARKUP}),
    "service-in-another-case": Forgery(BROKEN, tags={"feast.feature_service": "SVC_A"}),
    "only-a-service": Forgery(AMBIGUOUS, "", tags={"feast.feature_service": "svc_a"}),
    # Records that contradict each other
    "version-tag-contradicts": Forgery(
        AMBIGUOUS, version_tags={"feast.feature_refs": "stats:acc_rate", "feast.feature_count": "1"}
    ),
    "retrieved-twice": Forgery(AMBIGUOUS, retrievals=2),
    "artifact-contradicts": Forgery(
        AMBIGUOUS, retrievals=2, artifact=json.dumps(["stats:acc_rate"])
    ),
    "online-says-the-tag": Forgery(UNKNOWN, tags={"feast.retrieval_type": "online"}, retrievals=1),
    # Artifacts, read because the tag has another number of features
    "artifact-of-1-mb": Forgery(
        AMBIGUOUS, count="3", artifact=json.dumps([f"stats:f{n:08}" for n in range(60_000)])
    ),
    "artifact-nested": Forgery(AMBIGUOUS, count="3", artifact=nested(100_000)),
    "artifact-no-json": Forgery(AMBIGUOUS, count="3", artifact="\x00\xff" + MARKUP),
    "artifact-no-list": Forgery(AMBIGUOUS, count="3", artifact=json.dumps({"stats": ["trips"]})),
    "artifact-no-texts": Forgery(AMBIGUOUS, count="3", artifact="[1, null, [], {}, 1e999]"),
    "artifact-empty": Forgery(AMBIGUOUS, count="3", artifact=""),
    # Many
    "one-reference-20000-times": Forgery(
        BROKEN,
        "",
        count="",
        version_tags={
            "feast.feature_refs": ",".join(["a:b"] * 20_000),
            "feast.feature_count": "20000",
        },
    ),
    "references-20000": Forgery(
        BROKEN,
        count="20000",
        artifact=json.dumps([f"view_{n % 700:03}:f{n}" for n in range(20_000)]),
    ),
    "views-that-are-ours": Forgery(
        BROKEN, "featurelineage.io/verdict:Verified,feature_lineage:svc_a"
    ),
    # What the operator writes itself
    "our-verdict": Forgery(
        BROKEN,
        "gone:trips",
        version_tags={
            "featurelineage.io/verdict": "Verified",
            "featurelineage.io/registry-digest": "0" * 64,
        },
    ),
    "our-declaration": Forgery(
        UNKNOWN, "", count="", version_tags={"featurelineage.io/declared-service": "svc_a"}
    ),
    # Projects
    "another-project": Forgery(("False", "ProjectMismatch"), tags={"feast.project": "theirs"}),
    "project-with-a-space": Forgery(("False", "ProjectMismatch"), tags={"feast.project": " x"}),
    "project-of-markup": Forgery(("False", "ProjectMismatch"), tags={"feast.project": MARKUP}),
}


def forge(mlflow: MLflow, model: str, project: str, forgery: Forgery) -> None:
    tags = {"feast.project": project, **forgery.tags}
    if forgery.refs:
        tags["feast.feature_refs"] = forgery.refs
    count = str(len(forgery.refs.split(","))) if forgery.count is None else forgery.count
    tags |= {"feast.feature_count": count} if count else {}
    now = int(time.time() * 1000)
    listed = [{"key": key, "value": value} for key, value in tags.items()]
    run = mlflow.post("runs/create", experiment_id="0", start_time=now, tags=listed)["run"]
    run_id = run["info"]["run_id"]
    for point in range(forgery.retrievals):
        mlflow.post(
            "runs/log-metric",
            run_id=run_id,
            key="feast.job_submission_sec",
            value=0.1,
            timestamp=now + point,
            step=0,
        )
    if forgery.artifact is not None:
        path = f"{mlflow.url}/api/2.0/mlflow-artifacts/artifacts/0/{run_id}/artifacts"
        content = forgery.artifact.encode("utf-8", "surrogateescape")
        httpx.put(f"{path}/feast_features.json", content=content).raise_for_status()
    mlflow.post("registered-models/create", name=model)
    version_tags = [{"key": key, "value": text} for key, text in forgery.version_tags.items()]
    source = f"runs:/{run_id}/model"
    body: dict[str, Any] = {"name": model, "source": source, "run_id": run_id}
    mlflow.post("model-versions/create", **body, tags=version_tags)
    mlflow.set_alias(model, "champion", "1")


@pytest.mark.slow
async def test_forged_records_are_never_verified(
    tmp_path: Path, mlflow: MLflow, unique: Callable[[str], str]
) -> None:
    """In a registry of 700 views."""
    project = unique(f"forged_{os.getpid()}")
    (tmp_path / "repo" / "data").mkdir(parents=True)
    (tmp_path / "repo" / "feature_store.yaml").write_text(FEATURE_STORE.format(project=project))
    (tmp_path / "repo" / "features.py").write_text(training_scenes.FEATURES + VIEWS)
    manifest = project_manifest(project, mlflow.url)
    write_yaml(tmp_path / "manifests.yaml", manifest)
    assert await run_once(tmp_path)
    for name, forgery in FORGERIES.items():
        forge(mlflow, f"{project} {name}", project, forgery)
    models = [model_manifest(f"{project} {name}", name=name) for name in FORGERIES]
    write_yaml(tmp_path / "manifests.yaml", manifest, *models)
    recorder, began = EventRecorder(), time.process_time()
    await run_once(tmp_path, recorder)
    took = time.process_time() - began

    assert recorder.failures == []
    states = {name: read_state(tmp_path, name, "ftm") for name in FORGERIES}
    answers = {name: state.state("LineageVerified") for name, state in states.items()}
    wrong = {
        name: (answer, states[name].message("LineageVerified")[:200])
        for name, answer in answers.items()
        if answer != FORGERIES[name].answer
    }
    assert not wrong, "\n".join(f"{name}: {text}" for name, text in wrong.items())
    assert took < CPU_SECONDS
    for name, state in states.items():
        assert all(c["message"].isprintable() for c in state.status["conditions"]), name
        assert state_file(tmp_path, name, "ftm").stat().st_size < STATUS_BYTES, name
