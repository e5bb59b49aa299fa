"""The report of a job, as the leader reads it from ConfigMaps, and what a decision makes of it."""

import asyncio
import base64
import copy
import hashlib
import json
import math
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from hypothesis import strategies as st
from tests.fuzz.harness import Target
from tests.fuzz.mutations import json_texts, mangled, packed
from tests.strategies import real_snapshot
from tests.unit.decide.build import MLFLOW, NOW, ProjectScenario, hourly, plan, view_report

from feature_lineage.decide.facts import JobFacts
from feature_lineage.errors import InvalidReport
from feature_lineage.kube.jobs.names import report_names
from feature_lineage.kube.jobs.report import OPENED_BY, read_report
from feature_lineage.operations.job_report import JobReport, decode_report
from feature_lineage.operations.ops_run_builder import ops_run
from feature_lineage.operations.plan import PlanVerdict
from feature_lineage.operations.pod_protocol import MANIFEST_KEY, PIECE_KEY
from feature_lineage.operations.protocol import encode
from feature_lineage.operations.records import Operation
from feature_lineage.tracking.parsing import milliseconds
from feature_lineage.tracking.truncation import truncated

RUNNER: Final = asyncio.Runner()


def _applying() -> ProjectScenario:
    scenario = ProjectScenario(mlflow=MLFLOW)
    scenario.reconcile()
    return scenario


def _materializing() -> ProjectScenario:
    scenario = ProjectScenario(schedules=[hourly()]).apply()
    scenario.later(hours=1)
    scenario.reconcile()
    return scenario


SCENARIOS: Final = (_applying(), _materializing())
JOBS: Final = tuple(scenario.job for scenario in SCENARIOS)


def _documents() -> tuple[dict[str, Any], ...]:
    applying, materializing = SCENARIOS
    views = tuple(
        view_report(
            "stats",
            result,
            start=NOW - timedelta(hours=1),
            end=NOW,
            rows=7,
            seconds=1.5,
            materialized_until=NOW,
            newest_event_time=NOW,
        )
        for result in ("Succeeded", "Failed")
    )
    made = (
        applying.report("Succeeded", snapshot=real_snapshot(), plan=plan(), views=views),
        applying.report("Blocked", plan=plan(PlanVerdict.BLOCKED, reason="Blocked")),
        applying.report("Failed", reason="InvalidRepo", message="no", output_tail="x"),
        applying.report("SteppedBack", reason="GuardOutdated", message="old"),
        materializing.report("Succeeded", views=views, seconds={"materialize": 1.0}),
        materializing.report("Partial", views=views, counts={"created": 1}, warnings=("w",)),
    )
    return tuple(json.loads(encode(report)) for report in made)


DOCUMENTS: Final = _documents()
NAMES: Final = tuple(JobReport.model_fields)


@dataclass(frozen=True)
class Written:
    """The ConfigMaps that a job wrote.

    Attributes:
        text: what they were made of, before any damage.
        manifest: text of the first one.
        pieces: base64.
        marks: its annotation.
    """

    job: str
    text: bytes
    manifest: str
    pieces: tuple[str, ...]
    marks: str


@st.composite
def written(draw: st.DrawFn) -> Written:
    job = draw(st.sampled_from(JOBS))
    text = draw(json_texts(DOCUMENTS, NAMES))
    content = draw(packed(st.just(text)))
    at = draw(st.sampled_from((len(content), len(content) // 2)))
    cut = [piece for piece in (content[:at], content[at:]) if piece]
    manifest = {
        "operation": job,
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
        "pieces": len(cut),
    }
    head = json.dumps(manifest).encode()
    pieces = [base64.b64encode(piece).decode() for piece in cut]
    if draw(st.integers(0, 9)) == 0:
        head = draw(json_texts([manifest]) | mangled(st.just(head)))
    if cut and draw(st.integers(0, 9)) == 0:  # the API server keeps nothing but base64
        pieces[-1] = base64.b64encode(draw(mangled(st.just(cut[-1])))).decode()
    marks = draw(st.sampled_from(("", "", "", "a", "a,,b", "," * 1000)))
    return Written(job, text, head.decode(errors="replace"), tuple(pieces), marks)


class ConfigMaps:
    """An API server that has the ConfigMaps of one report."""

    def __init__(self, given: Written) -> None:
        self.marks: list[str | None] = []
        self._found = {
            name: {"metadata": {}, "binaryData": {PIECE_KEY: piece}}
            for name, piece in zip(report_names(given.job), given.pieces, strict=False)
        }
        first: Any = self._found.setdefault(report_names(given.job)[0], {"metadata": {}})
        first["data"] = {MANIFEST_KEY: given.manifest}
        first["metadata"] = {"annotations": {OPENED_BY: given.marks}}

    async def find(self, kind: Any, namespace: str, name: str) -> Any:
        return copy.deepcopy(self._found.get(name))

    async def patch(self, kind: Any, namespace: str, name: str, body: Any) -> None:
        self.marks.append(body["metadata"]["annotations"][OPENED_BY])


def read(given: Written) -> None:
    api: Any = ConfigMaps(given)
    try:
        report = RUNNER.run(read_report(api, "ml", given.job))
    finally:
        assert len(api.marks) in (0, 2), "a mark was left on the report"
    assert report is not None
    assert encode(decode_report(encode(report).encode())) == encode(report)  # NaN is not itself
    decide_on(report, SCENARIOS[JOBS.index(given.job)])


def decide_on(report: JobReport, template: ProjectScenario) -> None:
    """A report that was accepted gives a status that the API server takes, whatever it says."""
    operation = Operation(
        id=report.operation_id,
        kind=report.kind,
        project="driver_ranking",
        resource="ml/ranking",
        started_at=NOW,
        ended_at=NOW,
    )
    run = truncated(ops_run(operation, report, experiment_suffix="-ops"))
    acceptable([run.tags, run.params, list(run.metrics)])
    assert all(map(math.isfinite, run.metrics.values()))
    hash((milliseconds(run.started_at), milliseconds(run.ended_at)))
    scenario = copy.deepcopy(template)
    scenario.jobs[scenario.job] = JobFacts(running=False, report=report)
    for _ in range(3):
        scenario.reconcile()
        acceptable(scenario.status.as_dict())
        scenario.later(hours=2)


def acceptable(value: Any) -> None:
    """Assert that an API server accepts this JSON: finite, 64-bit numbers, and Unicode."""
    json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    stack = [value]
    while stack:
        match stack.pop():
            case dict() as each:
                stack += each.values()
            case list() | tuple() as items:
                stack += items
            case int() as number:
                assert -(2**63) <= number < 2**63, "an integer of more than 64 bits"


TARGET: Final = Target("report", written(), read, (InvalidReport,), examples=60)
