"""Jobs that die while they materialize: what is known of their views, and the states they leave.

The function of view `b` does what a file says: it kills its process, hangs, fails or does nothing.
"""

import os
import select
import signal
from datetime import timedelta
from pathlib import Path

import pytest
from tests.contract.runner.conftest import Build
from tests.contract.runner.harness import Cli, Zygote, request
from tests.contract.runner.repos import NOW, Repo
from tests.contract.runner.test_life_of_a_project import KINDS, views

from feature_lineage.operations.job_report import JobReport, Outcome, decode_report
from feature_lineage.operations.protocol import JobRequest, MaterializeRequest
from feature_lineage.runner.supervisor import UNFINISHED

DEADLY = """
from feast import BatchFeatureView

from features import Field, Int64, driver, stats, timedelta

def obey(frame):
    import os, signal
    order = open("{order}").read()
    if order == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if order == "hang":
        with open("{told}", "w") as told:
            told.write("here")
        signal.pause()
    if order == "fail":
        raise ValueError("as ordered")
    return frame

b = BatchFeatureView(
    name="b", entities=[driver], schema=[Field(name="trips", dtype=Int64)], source=stats,
    ttl=timedelta(days=365), mode="pandas", udf=obey, udf_string="obey", online=True,
)
"""
SERVE = """
import sys
from feast import FeatureStore
store = FeatureStore(sys.argv[1])
try:
    print(store.get_online_features(["b:trips"], [{"driver_id": 1}]).to_dict()["trips"])
except ValueError as error:
    print(error)
"""
LOST = """
import sys
from datetime import UTC, datetime, timedelta
from feast import FeatureStore
from feature_lineage.runner.states import telling_lost_states
store, lost, now = FeatureStore(sys.argv[1]), [], datetime.now(UTC)
with telling_lost_states(store, lost.append):
    store.materialize(now - timedelta(days=1), now, feature_views=["a", "b"])
print(f"lost: {lost}")
"""
SERVED = "[10]"
STATES = {
    "file": "MATERIALIZING",
    "sqlite": "AVAILABLE_ONLINE",
    "postgres": "AVAILABLE_ONLINE",
}
"""By kind of registry: the state of a plain view whose job was killed."""


class Scene:
    """A repo with the views a, b and c, and the order for b."""

    def __init__(self, repo: Repo, folder: Path, zygote: Zygote) -> None:
        self.repo, self._zygote = repo, zygote
        self.order, self.told = folder / "order", folder / "told"
        os.mkfifo(self.told)
        self.tell("work")
        text = DEADLY.format(order=self.order, told=self.told)
        repo.views(a="trips:Int64", c="trips:Int64").write(text, "deadly.py")

    def tell(self, order: str) -> None:
        self.order.write_text(order)

    def job(self, **fields: object) -> JobRequest:
        asked = MaterializeRequest(all_views_start=NOW - timedelta(days=1), all_views_end=NOW)
        return request("materialize", self.repo.path, asked, **fields)

    def wait_for_b(self) -> "HungJob":
        return HungJob(self.told)

    def served(self) -> str:
        """What Feast answers for b: its value, or why it refuses."""
        return self.python(SERVE)

    def python(self, text: str) -> str:
        """What a script prints that imports Feast in the repo."""
        return self._zygote.script(text, str(self.repo.path), folder=self.repo.path)

    def die(self) -> None:
        """A job is killed while it materializes b."""
        self.tell("die")
        assert self._zygote.send(self.job())["status"] == signal.SIGKILL


class HungJob:
    """Waits until b hangs."""

    def __init__(self, told: Path) -> None:
        self._pipe = os.open(told, os.O_RDONLY | os.O_NONBLOCK)

    def __call__(self) -> None:
        ready, _, _ = select.select([self._pipe], [], [], 90)
        assert ready, "the job did not come to view b"
        os.close(self._pipe)


@pytest.fixture
def scene(build: Build, request: pytest.FixtureRequest, tmp_path: Path, zygote: Zygote) -> Scene:
    """Everything is materialized once: Feast's state of the views is AVAILABLE_ONLINE."""
    made = Scene(build(getattr(request, "param", "file")), tmp_path, zygote)
    applied = zygote.run(_apply(made))
    assert applied.outcome is Outcome.SUCCEEDED, applied.message
    first = zygote.run(made.job())
    assert first.outcome is Outcome.SUCCEEDED, first.message
    return made


def _apply(scene: Scene, **fields: object) -> JobRequest:
    return request("apply", scene.repo.path, **fields)


def _results(report: JobReport) -> dict[str, str]:
    return {name: view.result for name, view in views(report).items()}


def test_a_view_that_kills_its_process_is_named(scene: Scene, cli: Cli) -> None:
    scene.tell("die")

    finished = cli.run(scene.job())

    report, found = finished.report, views(finished.report)
    assert (report.outcome, report.reason, finished.code) == (Outcome.FAILED, "JobFailed", 75)
    assert report.message.startswith("killed by the kernel while materializing, most likely")
    assert report.message.endswith(
        "that was while it materialized view 'b', and 1 of 3 views had succeeded"
    )
    assert _results(report) == {"a": "Succeeded", "b": "Failed", "c": ""}
    assert (found["a"].rows, found["a"].newest_event_time) == (3, NOW - timedelta(hours=1))
    assert (found["b"].killed, found["b"].left_in) == (True, "AVAILABLE_ONLINE")
    assert found["b"].error.startswith("the job's process ended while it materialized this view: ")
    assert found["c"].end == NOW, "it is known that it was to be materialized"


def test_a_job_that_is_stopped_says_what_succeeded(scene: Scene, cli: Cli) -> None:
    scene.tell("hang")
    b_hangs = scene.wait_for_b()
    process = cli.start(scene.job())
    b_hangs()
    process.send_signal(signal.SIGTERM)

    report = cli.finish(process).report

    assert (report.reason, _results(report)) == (
        "Interrupted", {"a": "Succeeded", "b": "", "c": ""},
    )  # fmt: skip
    assert views(report)["b"].left_in == "AVAILABLE_ONLINE"


def test_results_outlive_the_whole_process_group(scene: Scene, cli: Cli) -> None:
    scene.tell("hang")
    b_hangs = scene.wait_for_b()
    process = cli.start(scene.job())
    b_hangs()
    process.kill()
    process.wait(30)

    kept = decode_report((cli.folder / UNFINISHED).read_bytes())

    assert not cli.paths["report"].exists()
    assert (kept.running, kept.operation_id) == ("b", "op-materialize")
    assert _results(kept) == {"a": "Succeeded", "b": "", "c": ""}
    assert (views(kept)["a"].rows, views(kept)["b"].state) == (3, "AVAILABLE_ONLINE")


def test_skipped_views_are_not_tried_and_suspects_come_last(scene: Scene, zygote: Zygote) -> None:
    asked = MaterializeRequest(
        all_views_start=NOW - timedelta(days=1), all_views_end=NOW, last=("a",), skip={"b": "why"}
    )
    scene.tell("die")

    report = zygote.run(request("materialize", scene.repo.path, asked))

    assert (report.outcome, report.reason) == (Outcome.PARTIAL, "ViewsFailing")
    assert _results(report) == {"a": "Succeeded", "b": "Skipped", "c": "Succeeded"}
    assert views(report)["b"].error == "why"
    assert report.message == "1 of 3 views failed; b: why"


@pytest.mark.parametrize("scene", KINDS, indirect=True)
def test_what_a_dead_job_leaves_is_put_back(scene: Scene, zygote: Zygote) -> None:
    assert scene.served() == SERVED
    scene.die()
    assert "MATERIALIZING" in scene.served()
    scene.tell("fail")
    failed = zygote.run(scene.job())
    assert views(failed)["b"].state == "GENERATED"
    assert "GENERATED" in scene.served(), "not served either"

    scene.tell("die")
    again = MaterializeRequest(all_views_end=NOW, skip={"b": "it ended two jobs"})
    left = {"b": "AVAILABLE_ONLINE", "gone": "AVAILABLE_ONLINE", "a": "nonsense"}
    report = zygote.run(request("materialize", scene.repo.path, again, put_back=left))

    assert report.warnings == ()
    assert views(report)["b"].state == "AVAILABLE_ONLINE"
    assert scene.served() == SERVED


def test_an_apply_puts_back_and_a_plan_does_not(scene: Scene, zygote: Zygote) -> None:
    zygote.run(_apply(scene, owner="mine"))
    scene.die()
    left = {"b": "AVAILABLE_ONLINE"}

    zygote.run(request("plan", scene.repo.path, put_back=left))
    assert "MATERIALIZING" in scene.served()

    applied = zygote.run(_apply(scene, put_back=left, owner="mine"))

    assert applied.outcome is Outcome.SUCCEEDED, applied.message
    assert scene.served() == SERVED


@pytest.mark.parametrize(("scene", "left"), STATES.items(), indirect=["scene"])
def test_a_sql_registry_keeps_no_state_of_a_plain_view(
    scene: Scene, left: str, zygote: Zygote
) -> None:
    """Feast compares views without their state: it writes none that is all that differs."""
    work = "feast.infra.passthrough_provider:PassthroughProvider.materialize_single_feature_view"

    died = zygote.send(scene.job(), {"target": work, "when": "before"})

    assert died["report"] is None
    seen = zygote.run(request("observe", scene.repo.path))
    assert (views(seen)["a"].state, views(seen)["b"].state) == (left, "AVAILABLE_ONLINE")
    lost = [] if left == "MATERIALIZING" else ["a"]
    assert scene.python(LOST).endswith(f"lost: {lost}"), "a view with a function is never equal"
