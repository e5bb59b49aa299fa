"""When a probe is due, what it is asked, and what becomes of its answers."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.unit.decide.build import (
    MLFLOW,
    NOW,
    OUTAGE,
    STATS,
    ProjectScenario,
    backfill,
    linked,
    model,
    observed_model,
    version,
    view_report,
)
from tests.unit.operations.build import registry, service, view

from feature_lineage.api.enums import OperationKind, ProbeSkew, Verdict
from feature_lineage.decide.facts import JobFacts
from feature_lineage.decide.model.decide import decide_model
from feature_lineage.decide.project.probing import probe_after, probe_request
from feature_lineage.features.signatures import question_key
from feature_lineage.operations.probe_answer import FeatureAnswer, ProbeAnswer, ProbeCause
from feature_lineage.operations.probe_record import ProbeRecord
from feature_lineage.operations.probe_request import ProbeRequest
from feature_lineage.operations.sampled_keys import SampledKey, SampledKeys, SourceKeys
from feature_lineage.operations.serving import Question
from feature_lineage.operations.skew import FeatureSkew, SkewAnswer
from feature_lineage.reasons import Reason

CHAMPION = linked(version("3", "champion"))
QUESTION = question_key("activity", CHAMPION.link.refs)
ACTIVITY = {"activity": service({"stats": {"trips": "INT64"}})}
KEYS = SampledKeys(
    columns=("driver_id",), keys=tuple(SampledKey(values=(n,), at=NOW) for n in range(9))
)
GOOD = ProbeAnswer(
    question=QUESTION,
    keys=9,
    known=9,
    features=(FeatureAnswer(column="stats__trips", keys=9, source_nulls=0),),
)
GONE = GOOD.model_copy(
    update={"features": (FeatureAnswer(column="stats__trips", keys=9, missing=9),)}
)
SKEWED = ProbeAnswer(
    **{name: getattr(GOOD, name) for name in ProbeAnswer.model_fields if name != "skew"},
    skew=SkewAnswer(
        at=NOW,
        compared=9,
        differing=1,
        worst=FeatureSkew(column="stats__trips", compared=9, differing=1),
    ),
)
OFFLINE = ProbeAnswer(question=QUESTION, cause=ProbeCause.UNAVAILABLE, error="no route to host")


def probed(until: datetime | None = None, **spec: Any) -> ProjectScenario:
    """An applied project with a champion, which is probed now.

    Args:
        until: the time until which another tool materialized the view.
    """
    scenario = ProjectScenario(mlflow=MLFLOW, **{"probe": {}, **spec})
    scenario.linked = (CHAMPION, linked(version("2")))
    return scenario.apply(materialized_until=until)


def answers(scenario: ProjectScenario, *found: ProbeAnswer, read: Any = ()) -> None:
    """End the probe."""
    operation = scenario.status.reading_operation
    assert operation is not None
    scenario.reports(operation, "Succeeded", snapshot=None, answers=found, source_keys=read)
    scenario.reconcile()


def sources(scenario: ProjectScenario, **later: float) -> tuple[str, ...]:
    """The views whose sources the next probe reads."""
    scenario.rest()
    scenario.later(**later)
    scenario.reconcile()
    assert scenario.request.probe is not None
    return scenario.request.probe.sources


def kind_of(scenario: ProjectScenario) -> OperationKind | None:
    operation = scenario.status.reading_operation
    return operation.kind if operation is not None else None


@pytest.mark.parametrize("probe", [None, {"interval": "0s"}, {"interval": "0m0s", "keys": 9}])
def test_without_spec_probe_nobody_asks(probe: Any) -> None:
    scenario = probed(probe=probe, backfills=[backfill(days=1)])

    assert kind_of(scenario) is None
    order = scenario.requests[scenario.job].materialize
    assert order is not None
    assert order.sampled_keys == 0


def test_a_probe_follows_an_apply_and_the_interval() -> None:
    scenario = probed()
    assert kind_of(scenario) is OperationKind.PROBE
    assert scenario.request.probe is not None
    assert scenario.request.probe.questions == (Question("activity"),)  # not of version 2
    answers(scenario, GOOD)
    scenario.rest()
    assert kind_of(scenario) is None

    scenario.later(minutes=59)
    scenario.rest()
    assert kind_of(scenario) is None
    scenario.later(minutes=2)
    scenario.reconcile()
    assert kind_of(scenario) is OperationKind.PROBE


def test_a_request_and_a_lost_record_are_reasons_to_ask() -> None:
    scenario = probed()
    answers(scenario, GOOD)
    scenario.rest()

    scenario.reconcile(requested=True)
    assert kind_of(scenario) is OperationKind.PROBE
    answers(scenario, GOOD)
    scenario.probe = None
    scenario.later(seconds=31)
    scenario.reconcile()
    assert kind_of(scenario) is OperationKind.PROBE


def test_keys_of_a_materialization_are_asked_with() -> None:
    scenario = probed(backfills=[backfill(days=1)])
    assert scenario.operation.kind is OperationKind.BACKFILL
    order = scenario.requests[scenario.job].materialize
    assert order is not None
    assert order.sampled_keys == 100
    scenario.later(seconds=5)
    scenario.end("Succeeded", views=(view_report("stats", keys=KEYS),))
    answers(scenario, GOOD)  # of a probe that began before the rows were written

    assert kind_of(scenario) is OperationKind.PROBE
    assert scenario.request.probe is not None
    assert scenario.request.probe.keys == {"stats": KEYS}


def test_a_source_is_read_once_a_day() -> None:
    """Nobody knows the keys of the view: another tool materializes it."""
    scenario = probed(until=NOW)
    assert scenario.request.probe is not None
    assert scenario.request.probe.sources == ("stats",)

    answers(scenario, GOOD, read=(SourceKeys(view="stats", keys=KEYS),))
    assert sources(scenario, hours=2) == ()
    assert scenario.request.probe.keys == {"stats": KEYS}
    answers(scenario, GOOD)
    assert sources(scenario, hours=23) == ("stats",)


def test_a_source_that_cannot_be_read_is_said_and_tried_again() -> None:
    scenario = probed(until=NOW)
    unknown = ProbeAnswer(question=QUESTION, keys=1)
    answers(scenario, unknown, read=(SourceKeys(view="stats", error="a BigQuerySource is not"),))
    assert sources(scenario, hours=2) == ()

    champion = observed_model(model(), CHAMPION, project=scenario.project, probe=scenario.probe)
    serving = {c.type: c for c in decide_model(champion).status.conditions}["Serving"]
    assert (serving.status, serving.reason) == ("Unknown", "NotProbed")
    assert "view stats is not read: a BigQuerySource is not" in serving.message
    answers(scenario, unknown)
    assert sources(scenario, hours=23) == ("stats",)


DEAD = "killed by the kernel, most likely because it ran out of memory"


def dies(scenario: ProjectScenario, *, begun: bool = True) -> None:
    """The job of the probe ends without a report."""
    operation = scenario.status.reading_operation
    assert operation is not None
    scenario.jobs[operation.job] = JobFacts(
        running=False, reason="JobFailed", message=DEAD, begun=begun
    )
    scenario.reconcile()


def test_a_read_that_kills_the_job_is_not_repeated() -> None:
    """Neither by its next attempt nor by the probes of that day."""
    scenario = probed(until=NOW, runtime={"retries": 1})
    assert order_of(scenario).sources == ("stats",)
    dies(scenario)
    assert sources(scenario, minutes=5) == ()

    dies(scenario)
    says = f"view stats is not read: a probe that was to read it failed: {DEAD}"
    assert says in message_of_serving(scenario)
    assert sources(scenario, hours=2) == ()
    answers(scenario, ProbeAnswer(question=QUESTION, keys=1))
    assert f"{says}; it is read again after a day" in message_of_serving(scenario)
    assert sources(scenario, hours=22) == ("stats",)


def test_a_probe_that_did_not_reach_the_sources_reads_them() -> None:
    scenario = probed(until=NOW, runtime={"retries": 0})
    scenario.reports(
        scenario.status.reading_operation, "Failed", reason="InvalidRepo", seconds={"read": 0.1}
    )
    scenario.reconcile()
    assert sources(scenario, hours=2) == ("stats",)

    dies(scenario, begun=False)
    assert sources(scenario, hours=2) == ("stats",)


def message_of_serving(scenario: ProjectScenario) -> str:
    champion = observed_model(model(), CHAMPION, project=scenario.project, probe=scenario.probe)
    found = {c.type: c for c in decide_model(champion).status.conditions}["Serving"]
    return found.message


def test_no_source_is_read_of_a_view_that_nobody_materialized() -> None:
    """Else such views would take the places of others in each probe."""
    scenario = probed()
    answers(scenario, GOOD)
    assert sources(scenario, hours=2) == ()


def test_keys_past_the_ttl_are_read_from_the_source() -> None:
    """The operator materialized the view once, and does not any more."""
    scenario = probed(until=NOW)
    scenario.probe = ProbeRecord(keys={"stats": KEYS})
    observed = scenario.observed()
    expires = registry({"stats": {**view({"trips": "INT64"}), "ttl": "3600s"}}, services=ACTIVITY)
    later = replace(observed, now=NOW + timedelta(hours=2))

    kept = probe_request(observed, expires, scenario.probe)
    assert kept.sources == ()
    assert probe_request(later, expires, scenario.probe).sources == ("stats",)


def test_no_source_is_read_for_keys_of_a_materialization() -> None:
    scenario = probed(until=NOW)
    answers(scenario, GOOD, read=(SourceKeys(view="stats", keys=KEYS),))
    scenario.rest()
    scenario.change(backfills=[backfill(days=1)])
    scenario.reconcile()
    scenario.later(seconds=5)
    scenario.end("Succeeded", views=(view_report("stats", keys=KEYS),))
    assert scenario.request.probe is not None
    answers(scenario, GOOD)
    assert sources(scenario, hours=23) == ()


def test_a_bad_answer_is_confirmed_soon() -> None:
    scenario = probed()
    answers(scenario, GONE)
    scenario.rest()
    assert kind_of(scenario) is None
    assert scenario.status.probe is not None
    assert (scenario.status.probe.unconfirmed, scenario.status.probe.failing) == (True, 0)

    scenario.later(seconds=31)
    scenario.reconcile()
    assert kind_of(scenario) is OperationKind.PROBE
    answers(scenario, GONE)
    assert (scenario.status.probe.unconfirmed, scenario.status.probe.failing) == (False, 1)


def test_skew_is_confirmed_by_a_second_comparison() -> None:
    """Values are compared after a materialization, and once more 30 s after some differed."""
    scenario = probed(backfills=[backfill(days=1)])
    scenario.later(seconds=5)
    scenario.end("Succeeded", views=(view_report("stats", keys=KEYS),))
    answers(scenario, GOOD)  # of the probe that began before
    assert order_of(scenario).skew is ProbeSkew.AUTO
    answers(scenario, SKEWED)
    assert says_serving(scenario) != ("False", "Skewed")

    scenario.rest()
    scenario.later(seconds=31)
    scenario.reconcile()
    assert order_of(scenario).skew is ProbeSkew.AUTO
    answers(scenario, SKEWED)
    assert says_serving(scenario) == ("False", "Skewed")

    scenario.rest()
    scenario.later(hours=2)
    scenario.reconcile()
    assert order_of(scenario).skew is ProbeSkew.OFF  # the interval reads no source
    answers(scenario, GOOD)
    assert says_serving(scenario) == ("False", "Skewed")


def test_without_comparison_no_earlier_finding_stays() -> None:
    scenario = probed(until=NOW)
    scenario.probe = ProbeRecord().with_answers((SKEWED,), NOW, {"stats"})
    report = scenario.report("Succeeded", scenario.status.reading_operation, answers=(GOOD,))
    off = ProjectScenario(mlflow=MLFLOW, probe={"skew": "Off"}).apply().observed()

    record = probe_after(off, scenario.probe, STATS, report)

    assert record is not None
    (answer,) = record.answers.values()
    assert (answer.skewed, answer.answer.skew, record.unconfirmed) == (0, None, False)


def test_a_probe_that_failed_is_not_repeated_with_a_comparison() -> None:
    """The comparison may have killed the job; the interval must not read the sources again."""
    scenario = probed(backfills=[backfill(days=1)])
    scenario.later(seconds=5)
    scenario.end("Succeeded", views=(view_report("stats", keys=KEYS),))
    answers(scenario, GOOD)
    assert order_of(scenario).skew is ProbeSkew.AUTO
    scenario.reports(scenario.status.reading_operation, "Failed", reason="InvalidRepo")
    scenario.reconcile()
    scenario.later(hours=2)
    scenario.reconcile()
    assert order_of(scenario).skew is ProbeSkew.OFF


def order_of(scenario: ProjectScenario) -> ProbeRequest:
    assert scenario.request.probe is not None
    return scenario.request.probe


def says_serving(scenario: ProjectScenario) -> tuple[str, str]:
    champion = observed_model(model(), CHAMPION, project=scenario.project, probe=scenario.probe)
    found = {c.type: c for c in decide_model(champion).status.conditions}["Serving"]
    return found.status, found.reason


def test_a_version_that_is_promoted_is_probed_soon() -> None:
    scenario = probed()
    answers(scenario, GOOD)
    scenario.rest()
    scenario.linked = (linked(version("4", "champion"), service="another"),)
    scenario.later(seconds=31)

    scenario.reconcile()

    assert kind_of(scenario) is OperationKind.PROBE
    assert scenario.request.probe is not None
    assert scenario.request.probe.questions == (Question("another"),)


def test_an_answer_too_large_to_keep_is_not_asked_again_soon() -> None:
    scenario = probed()
    answers(scenario, GOOD)
    assert scenario.probe is not None
    scenario.probe = scenario.probe.changed(answers={})
    scenario.rest()
    scenario.later(minutes=59)
    scenario.rest()
    assert kind_of(scenario) is None
    scenario.later(minutes=2)
    scenario.reconcile()
    assert kind_of(scenario) is OperationKind.PROBE


def test_nothing_is_waited_for_while_no_version_is_known() -> None:
    scenario = probed()
    answers(scenario, GOOD)
    scenario.linked = ()
    scenario.later(hours=2)

    decision = scenario.reconcile()

    assert decision.requeue_at is not None
    assert decision.requeue_at > scenario.now + timedelta(seconds=5)


def test_a_probe_that_fails_is_said_and_not_repeated_soon() -> None:
    scenario = probed()
    scenario.reports(
        scenario.status.reading_operation, "Failed", reason="InvalidRepo", message="too old"
    )
    scenario.reconcile()
    scenario.later(minutes=2)
    scenario.rest()
    assert kind_of(scenario) is None

    observed = observed_model(model(), CHAMPION, project=scenario.project, probe=record_of(GOOD))
    conditions = {c.type: c for c in decide_model(observed).status.conditions}
    assert conditions["Serving"].reason == "ProbeUnavailable"
    assert "failed: too old" in conditions["Serving"].message


def test_without_spec_probe_the_keys_are_deleted() -> None:
    scenario = probed()
    answers(scenario, GOOD)
    assert scenario.probe is not None
    scenario.change(probe=None)
    scenario.reconcile()

    assert scenario.probe == ProbeRecord()
    assert scenario.status.probe is None


def test_probes_leave_the_other_operations_in_the_list() -> None:
    scenario = probed()
    for _ in range(12):
        answers(scenario, GOOD)
        scenario.rest()
        scenario.later(hours=1, minutes=1)
        scenario.reconcile()

    kinds = [operation.kind for operation in scenario.status.operations]
    assert kinds == [OperationKind.PROBE, OperationKind.PROBE, OperationKind.APPLY]


def test_an_outage_of_mlflow_leaves_the_condition() -> None:
    _, _, _, good = says(record_of(GOOD))
    project = probed().project
    observed = observed_model(
        model(status=good, readyRequires=["Lineage", "Serving"]),
        None,
        project=project,
        view=None,
        failure=OUTAGE,
    )
    conditions = {c.type: c.status for c in decide_model(observed).status.conditions}

    assert (conditions["Serving"], conditions["Ready"]) == ("True", "True")


def test_a_probe_says_nothing_of_the_registry() -> None:
    scenario = probed()
    before = scenario.status.registry
    scenario.end("Succeeded", snapshot=None, registry_id="another", answers=(GOOD,))

    assert scenario.status.registry == before


def says(
    record: ProbeRecord | None,
    *,
    status: Any = None,
    verdict: Any = None,
    requires: Any = ("Lineage", "Serving"),
    **spec: Any,
) -> Any:
    """Conditions Serving and Ready of the champion, and its status."""
    project = probed().project
    item = CHAMPION if verdict is None else verdict
    observed = observed_model(
        model(status=status, readyRequires=requires and list(requires), **spec),
        item,
        project=project,
        probe=record,
        snapshot=STATS,
    )
    decided = decide_model(observed).status
    found = {c.type: (c.status, c.reason) for c in decided.conditions}
    return found.get("Serving"), found["Ready"], found.get("Reconciling"), decided


def record_of(*each: ProbeAnswer) -> ProbeRecord:
    record = ProbeRecord()
    for answer in each:
        record = record.with_answers((answer,), NOW, ())
    return record


@pytest.mark.parametrize(
    ("record", "serving", "ready"),
    [
        (None, ("Unknown", "NotProbed"), ("False", "NotProbed")),
        (record_of(GOOD), ("True", "Succeeded"), ("True", "Verified")),
        (record_of(GONE), ("Unknown", "NotProbed"), ("False", "NotProbed")),
        (record_of(GONE, GONE), ("False", "NotServed"), ("False", "NotServed")),
        (record_of(OFFLINE), ("Unknown", "NotProbed"), ("False", "NotProbed")),
        (
            record_of(OFFLINE, OFFLINE),
            ("Unknown", "ProbeUnavailable"),
            ("False", "ProbeUnavailable"),
        ),
    ],
)
def test_what_the_model_says(record: ProbeRecord | None, serving: Any, ready: Any) -> None:
    found, is_ready, reconciling, _ = says(record)

    assert (found, is_ready) == (serving, ready)
    assert (reconciling is not None) == (serving[1] == "NotProbed")


def test_one_bad_answer_leaves_the_condition() -> None:
    _, _, _, good = says(record_of(GOOD))
    found, ready, _, status = says(record_of(GOOD, GONE), status=good)

    assert (found, ready) == (("True", "Succeeded"), ("True", "Verified"))
    assert status.serving is not None
    assert status.serving.missing_ratio == 1.0


def test_a_view_that_was_never_online_is_no_alarm() -> None:
    offline = linked(version("3", "champion"), Verdict.VERIFIED, reason=Reason.NOT_SERVED_ONLINE)
    found, ready, _, _ = says(record_of(GONE, GONE), verdict=offline)

    assert found == ("Unknown", "NotServedOnline")
    assert ready[0] == "True"


def test_a_new_model_of_a_probed_project_requires_serving() -> None:
    _, ready, reconciling, new = says(None, requires=None)
    assert (ready, reconciling) == (("False", "NotProbed"), ("True", "NotProbed"))
    assert new.serving_by_default is True

    _, ready, _, new = says(record_of(GONE, GONE), requires=None, status=new)
    assert (ready, new.serving_by_default) == (("False", "NotServed"), True)


def test_a_model_of_an_older_version_requires_what_it_did() -> None:
    _, _, _, known = says(None, requires=["Lineage"])
    older = known.model_copy(update={"serving_by_default": None})

    serving, ready, reconciling, status = says(record_of(GONE, GONE), requires=None, status=older)

    assert serving == ("False", "NotServed")
    assert (ready, reconciling) == (("True", "Verified"), None)
    assert status.serving_by_default is None


@pytest.mark.parametrize("probe", [None, {"interval": "0s"}])
def test_without_a_probe_a_new_model_requires_its_lineage(probe: Any) -> None:
    project = probed(probe=probe).project
    decided = decide_model(observed_model(model(), CHAMPION, project=project)).status
    conditions = {c.type: (c.status, c.reason) for c in decided.conditions}

    assert "Serving" not in conditions
    assert conditions["Ready"] == ("True", "Verified")


def test_serving_is_required_and_the_project_is_not_probed() -> None:
    observed = observed_model(model(readyRequires=["Serving"]), CHAMPION)
    conditions = {c.type: c for c in decide_model(observed).status.conditions}

    assert "Serving" not in conditions
    assert (conditions["Ready"].status, conditions["Ready"].reason) == ("False", "NotProbed")
    assert "Reconciling" not in conditions
