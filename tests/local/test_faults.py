"""The local host dies before and after every port call, and is started again: same end state.

A crashed host has no further effect: it does not clean up, its jobs continue, and the next host
knows only the state folder, the job folders, Feast and MLflow. In one scenario each host crashes at
the first call at which no host has crashed yet. The end state must be the same as without crashes.
"""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.forks.client import Started, with_feast
from tests.local.conftest import EventRecorder, run_once
from tests.local.scene import (
    FEATURES,
    MLflow,
    backfill,
    guard_age,
    model_manifest,
    project_manifest,
    slow_import,
    write_repo,
    write_yaml,
)
from tests.local.state_reader import feast

from feature_lineage.local.host import LocalHost
from feature_lineage.operations.newer_guard import GuardAnswer
from feature_lineage.ports import Ports

CALLS = {
    "source": ("resolve",),
    "jobs": ("start", "state", "answer", "release"),
    "resources": ("save",),
    "snapshots": ("put", "get", "history"),
    "events": ("emit",),
    "registries": ("of",),
    "registry": ("view", "record", "aliases_at", "set_version_tags"),
}
METHODS = frozenset(f"{port}.{method}" for port, methods in CALLS.items() for method in methods)
LAST = frozenset({"events.emit", "jobs.release"})
"""Called after all is written; a host that crashes at each write calls these only by chance."""

MOST_DEATHS = 400


class LocalHostCrashed(BaseException):
    """Not an Exception, so that no code catches it."""


@dataclass
class PortCrashPlan:
    """The calls at which hosts crash: each distinct call of these methods, once.

    Attributes:
        methods: each as ``port.method``.
        moment: ``before`` or ``after`` the effect of the call.
        died_at: the calls at which hosts crashed: port, method and arguments.
    """

    methods: frozenset[str]
    moment: str
    crashed_at: set[tuple[str, str]] = field(default_factory=set)

    def is_due(self, name: str, moment: str, call: str) -> bool:
        if name not in self.methods or moment != self.moment or (name, call) in self.crashed_at:
            return False
        self.crashed_at.add((name, call))
        return True


class CrashingPort:
    """Wraps a port and lets the host crash at its calls."""

    def __init__(self, target: Any, name: str, crash_plan: PortCrashPlan) -> None:
        self._target = target
        self._name = name
        self._crash_plan = crash_plan

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(self._target, attribute)
        if attribute not in CALLS.get(self._name, ()):
            return value

        async def call(*args: Any, **kwargs: Any) -> Any:
            said = describe_call(args, kwargs)
            if self._crash_plan.is_due(f"{self._name}.{attribute}", "before", said):
                raise LocalHostCrashed
            result = await value(*args, **kwargs)
            if self._crash_plan.is_due(f"{self._name}.{attribute}", "after", said):
                raise LocalHostCrashed
            if self._name == "registries" and result is not None:
                return CrashingPort(result, "registry", self._crash_plan)
            return result

        return call


def describe_call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """Return what distinguishes a call from other calls: its subject, without times."""
    said = []
    for value in (*args, *kwargs.values()):
        if hasattr(value, "metadata"):
            status = value.status
            operation = getattr(status, "operation", None)
            listed = getattr(status, "operations", ())
            said.append(
                f"{value.metadata.name} {operation and (operation.id, operation.phase)} "
                f"{[(o.id, o.mlflow_run_id is not None) for o in listed]} "
                f"{[(c.type, c.status, c.reason) for c in status.conditions]} "
                f"{getattr(status, 'alias_history', None) is not None}"
            )
        elif hasattr(value, "operation_id"):
            said.append(value.operation_id)
        elif hasattr(value, "digest"):
            said.append(value.digest)
        elif isinstance(value, GuardAnswer):
            said.append(value.token)
        elif isinstance(value, str | bool):
            said.append(str(value))
    return " ".join(said)


async def run_until_crash(folder: Path, crash_plan: PortCrashPlan) -> bool:
    """Run one host; return whether it ran to its end."""

    def wrap(ports: Ports) -> Ports:
        mortal = {
            name: CrashingPort(getattr(ports, name), name, crash_plan)
            for name in CALLS
            if name != "registry"
        }
        return replace(ports, **mortal)

    host = LocalHost(folder, folder / ".feature-lineage", EventRecorder(), wrap=wrap)
    host.state.acquire()
    try:
        async with asyncio.timeout(240):
            await host.run_once()
    except LocalHostCrashed:
        return False
    finally:
        # What the kernel does after a crash: it closes locks and sockets. The jobs continue.
        host.jobs.abandon()
        host.state.release()
        await host.registries.close()
    return True


def write_scene(folder: Path, mlflow: MLflow, project: str) -> str:
    """One project with one backfill, and one model; returns the name of the model.

    The model was trained on what Feast applied before. The apply asks for a newer guard.
    """
    repo = write_repo(folder / "repo", project)
    feast(repo, "apply")
    (repo / "features.py").write_text(slow_import(FEATURES))
    model = f"{project}_model"
    refs = ["driver_hourly_stats:conv_rate", "driver_hourly_stats:trips"]
    mlflow.train(model, project, refs, alias="champion")
    write_yaml(
        folder / "manifests.yaml",
        project_manifest(project, mlflow.url, apply=guard_age(), backfills=[backfill()]),
        model_manifest(model),
    )
    return model


def check_end(folder: Path, mlflow: MLflow, project: str, model: str, killed: int = 0) -> None:
    """Check the state of an undisturbed run, and exactly one ops run for each operation.

    Args:
        killed: the number of jobs that were killed: each may have ended an attempt.
    """
    resources = folder / ".feature-lineage" / "resources"
    status = yaml.safe_load((resources / "FeatureStoreProject/default/driver.yaml").read_text())[
        "status"
    ]
    ready = {c["type"]: c["status"] for c in status["conditions"]}
    assert ready["Ready"] == "True"
    assert ready["Recorded"] == "True"
    assert "operation" not in status
    kinds = [operation["kind"] for operation in reversed(status["operations"])]
    assert kinds == ["Apply", "Backfill"]
    assert [operation["result"] for operation in status["operations"]] == ["Succeeded"] * 2
    assert 2 <= sum(operation["attempt"] for operation in status["operations"]) <= 2 + killed
    assert [view["rows"] for view in status["featureViews"]] == [5]
    assert status["backfills"][0]["state"] == "Succeeded"

    runs = mlflow.ops_runs(project)
    recorded = {op["id"]: op["mlflowRunId"] for op in status["operations"]}
    assert {
        run["tags"]["featurelineage.io/operation-id"]: run["run_id"] for run in runs
    } == recorded
    assert len(runs) == 2
    assert {run["status"] for run in runs} == {"FINISHED"}
    (record,) = mlflow.ops_runs(project, "-feast-ops-aliases")
    assert record["tags"]["featurelineage.io/operation-id"] == status["aliasHistory"]["record"]

    model_status = yaml.safe_load((resources / "TrainedModel/default/ranker.yaml").read_text())[
        "status"
    ]
    assert model_status["lineage"]["verdict"] == "Unchanged"
    tags = mlflow.version_tags(model, "1")
    assert tags["featurelineage.io/verdict"] == "Unchanged"
    assert tags["featurelineage.io/registry-digest"] == status["applied"]["registryDigest"]
    assert not list((folder / ".feature-lineage" / "jobs").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("methods", "moment"),
    [
        pytest.param(METHODS - LAST, "before", id="before"),
        pytest.param(METHODS - LAST, "after", id="after"),
        pytest.param(LAST, "before", id="before the last"),
        pytest.param(LAST, "after", id="after the last"),
    ],
)
async def test_crashes_at_every_port_call_give_the_same_end(
    tmp_path: Path,
    mlflow: MLflow,
    unique: Callable[[str], str],
    methods: frozenset[str],
    moment: str,
) -> None:
    project = unique("faults")
    model = write_scene(tmp_path, mlflow, project)
    crash_plan = PortCrashPlan(methods, moment)

    while not await run_until_crash(tmp_path, crash_plan):
        assert len(crash_plan.crashed_at) < MOST_DEATHS, crash_plan.crashed_at

    assert {name for name, _ in crash_plan.crashed_at} == methods
    check_end(tmp_path, mlflow, project, model)


def started(argv: list[str], **options: Any) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(argv, **options)


def forked(argv: list[str], **options: Any) -> Started:
    """As `started`, without the import of Feast in host and jobs."""
    return with_feast().popen(argv, **options)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seed", "start", "longest"),
    [
        *(
            pytest.param(seed, started, 25, marks=pytest.mark.real_processes, id=str(seed))
            for seed in range(2)
        ),
        *(pytest.param(seed, forked, 16, id=str(seed)) for seed in range(2, 5)),
    ],
)
async def test_a_killed_process_leaves_nothing_wrong(
    tmp_path: Path,
    mlflow: MLflow,
    unique: Callable[[str], str],
    seed: int,
    start: Callable[..., Any],
    longest: float,
) -> None:
    """A process, killed at a random moment (fixed seed), with or without its jobs.

    The longest time is about that of an undisturbed run.
    """
    project = unique("killed")
    model = write_scene(tmp_path, mlflow, project)
    chance = random.Random(seed)
    host = start(
        [sys.executable, "-m", "feature_lineage.cli", "local", str(tmp_path), "--once"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    with contextlib.suppress(subprocess.TimeoutExpired):
        host.wait(timeout=chance.uniform(0.5, longest))
    killed = 0
    if chance.random() < 0.5:
        for pid in (tmp_path / ".feature-lineage" / "jobs").glob("*/pid"):
            with contextlib.suppress(ProcessLookupError, FileNotFoundError):
                os.killpg(int(pid.read_text()), signal.SIGKILL)
                killed += 1
    with contextlib.suppress(ProcessLookupError):
        os.killpg(host.pid, signal.SIGKILL)
    host.wait()

    assert await run_once(tmp_path)

    check_end(tmp_path, mlflow, project, model, killed)
