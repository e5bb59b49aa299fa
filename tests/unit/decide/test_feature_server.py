"""What follows from the answer of a feature server, and when it is asked."""

from datetime import timedelta
from typing import Any

import pytest
from tests.unit.decide.build import MLFLOW, NOW, STATS, model, observed_model
from tests.unit.decide.test_probing import (
    CHAMPION,
    GONE,
    GOOD,
    SKEWED,
    ProjectScenario,
    answers,
    kind_of,
    order_of,
    probed,
)

from feature_lineage.api.enums import OperationKind
from feature_lineage.decide.model.decide import decide_model
from feature_lineage.decide.observed import Failure
from feature_lineage.errors import HostNotAllowed
from feature_lineage.operations.feature_server import ServerAnswer, ServerCause
from feature_lineage.operations.probe_answer import ProbeAnswer
from feature_lineage.operations.probe_record import CONFIRM_SERVER_AFTER, ProbeRecord
from feature_lineage.operations.skew import FeatureSkew

URL = "http://features.ml.svc:6566"
SAME = ServerAnswer(url=URL, healthy=True, version="not named", compared=9)
REFUSED = SAME.changed(cause=ServerCause.REFUSED, error="500 no such view")
DOWN = SAME.changed(healthy=None, cause=ServerCause.UNAVAILABLE, error="timed out")
UNASKABLE = ServerAnswer(url=URL, cause=ServerCause.UNASKABLE, error="JSON cannot hold x")
OTHER = SAME.changed(
    differing=3,
    absent=1,
    worst=FeatureSkew(column="stats__trips", compared=9, differing=3),
)
OLD = SAME.changed(lacks="stats__more", adds="stats__less")
NOT_ALLOWED = Failure.of(HostNotAllowed(f"{URL} is not among allowedFeatureServerUrls"))


def with_server(server: ServerAnswer | None, answer: ProbeAnswer = GOOD) -> ProbeAnswer:
    return answer.changed(server=server)


def record_of(*each: ProbeAnswer, server: str = URL) -> ProbeRecord:
    return after(
        *((2 * number * CONFIRM_SERVER_AFTER, one) for number, one in enumerate(each)),
        server=server,
    )


def after(*each: tuple[timedelta, ProbeAnswer], server: str = URL) -> ProbeRecord:
    """The record after probes that end so much later than the first one."""
    record = ProbeRecord()
    for later, answer in each:
        record = record.with_answers((answer,), NOW + later, (), server=server)
    return record


def says(
    record: ProbeRecord, url: str | None = URL, refused: Failure | None = None, status: Any = None
) -> Any:
    """Condition Serving of the champion, and its status."""
    project = probed(probe={"featureServerUrl": url} if url else {}).project
    observed = observed_model(
        model(status=status),
        CHAMPION,
        project=project,
        probe=record,
        snapshot=STATS,
        server_refused=refused,
    )
    decided = decide_model(observed).status
    return next(c for c in decided.conditions if c.type == "Serving"), decided


@pytest.mark.parametrize(
    ("server", "status", "reason", "words"),
    [
        (SAME, "True", "Succeeded", f"the feature server {URL} answers the same"),
        (SAME.changed(healthy=None), "True", "Succeeded", "answers the same"),
        (UNASKABLE, "True", "Succeeded", f"; the feature server {URL} was not asked: JSON cannot"),
        (SAME.changed(healthy=False), "Unknown", "ProbeUnavailable", "its /health says 503"),
        (REFUSED, "False", "ServingFails", "fails: 500 no such view; Feast in the job serves"),
        (REFUSED.changed(stale=True), "False", "ServingFails", "its registry is older"),
        (DOWN, "Unknown", "ProbeUnavailable", "does not answer the job of the probe: timed out"),
        (OTHER, "False", "ServerDiffers", "stats__trips: 3 of 9 values of the feature server"),
        (OTHER, "False", "ServerDiffers", "(1 of all columns are null)"),
        (OLD, "False", "ServerDiffers", "lacks stats__more and has stats__less, which Feast"),
    ],
)
def test_what_the_model_says(server: ServerAnswer, status: str, reason: str, words: str) -> None:
    bad = with_server(server)
    condition, _ = says(record_of(bad, bad))

    assert (condition.status, condition.reason) == (status, reason), condition.message
    assert words in condition.message


def test_a_server_that_cannot_be_asked_is_said_without_columns() -> None:
    """Only on-demand features are asked for."""
    condition, _ = says(record_of(with_server(UNASKABLE, GOOD.changed(features=()))))

    assert condition.status == "True"
    assert f"; the feature server {URL} was not asked: JSON cannot hold x" in condition.message


def test_one_bad_answer_of_a_server_leaves_the_condition() -> None:
    _, good = says(record_of(with_server(SAME)))
    condition, status = says(record_of(with_server(SAME), with_server(OTHER)), status=good)

    assert condition.status == "True"
    shown = status.serving.feature_server
    assert (shown.url, shown.healthy, shown.version, shown.served) == (URL, True, "not named", True)
    assert (shown.differing_ratio, shown.worst_feature) == (0.3333, "stats__trips")


@pytest.mark.parametrize(
    ("seconds", "confirmed"), [((0, 20), False), ((0, 20, 89), False), ((0, 20, 90), True)]
)
def test_a_fault_of_a_server_counts_when_it_is_old(
    seconds: tuple[int, ...], confirmed: bool
) -> None:
    """A materialization, or a request, starts a probe before the server reads the registry."""
    record = after(*((timedelta(seconds=each), with_server(OLD)) for each in seconds))
    condition, _ = says(record)

    assert record.unconfirmed is not confirmed
    assert condition.reason == ("ServerDiffers" if confirmed else "NotProbed")


def test_other_faults_before_it_confirm_no_server() -> None:
    """The store was at fault, or the server was down, or another server was asked."""
    elsewhere = OLD.changed(url="http://old:1")
    for first in (with_server(SAME, GONE), with_server(DOWN), with_server(elsewhere)):
        assert record_of(first, with_server(OLD)).unconfirmed, first
        assert not record_of(first, with_server(OLD), with_server(REFUSED)).unconfirmed


def test_a_record_without_the_time_of_a_fault_is_read() -> None:
    """An older version wrote it."""
    bad = record_of(with_server(OLD), with_server(OLD))
    old = bad.model_dump(mode="json")
    for each in old["answers"].values():
        del each["faulty"]
    record = ProbeRecord.model_validate(old)

    assert says(record)[0].reason == "ServerDiffers"
    again = record.with_answers((with_server(OLD),), NOW + timedelta(days=1), (), server=URL)
    assert not again.unconfirmed


def test_what_the_store_lacks_is_said_first() -> None:
    bad = with_server(OTHER, GONE)
    condition, _ = says(record_of(bad, bad))
    assert condition.reason == "NotServed"


def test_skew_is_said_though_the_server_is_down() -> None:
    bad = with_server(DOWN, SKEWED)
    condition, _ = says(record_of(bad, bad))
    assert (condition.status, condition.reason) == ("False", "Skewed")


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (record_of(GOOD, server=""), f"no probe has asked the feature server {URL} yet"),
        (
            record_of(with_server(OTHER.changed(url="http://old:1")), server="http://old:1"),
            f"no probe has asked the feature server {URL} yet",
        ),
        (record_of(GOOD), "run operator and runner (spec.runtime.image) of the same version"),
    ],
)
def test_a_server_that_was_not_asked_is_not_good(record: ProbeRecord, words: str) -> None:
    condition, status = says(record)

    assert (condition.status, condition.reason) == ("Unknown", "NotProbed")
    assert words in condition.message
    assert status.serving.feature_server is None


def test_an_address_that_is_not_allowed_is_said() -> None:
    condition, _ = says(record_of(GOOD, server=""), refused=NOT_ALLOWED)
    assert (condition.status, condition.reason) == ("Unknown", "HostNotAllowed")


def test_without_an_address_old_answers_do_not_count() -> None:
    bad = with_server(OTHER)
    condition, status = says(record_of(bad, bad), url=None)

    assert (condition.status, condition.reason) == ("True", "Succeeded")
    assert status.serving.feature_server is None


def asked(server: ServerAnswer | None = SAME) -> ProjectScenario:
    """A probed project with a feature server, whose first probe has ended."""
    scenario = probed(probe={"featureServerUrl": URL})
    assert order_of(scenario).server == URL
    answers(scenario, with_server(server))
    scenario.rest()
    return scenario


def probes_after(scenario: ProjectScenario, **later: float) -> bool:
    scenario.later(**later)
    scenario.rest()
    return kind_of(scenario) is OperationKind.PROBE


def test_a_bad_answer_of_a_server_is_confirmed_when_it_read_the_registry_again() -> None:
    scenario = asked(OLD)
    assert not probes_after(scenario, seconds=89)
    assert probes_after(scenario, seconds=2)


@pytest.mark.parametrize("bad", [OLD, REFUSED, DOWN])
def test_a_server_at_fault_is_asked_again_before_the_interval(bad: ServerAnswer) -> None:
    scenario = asked(bad)
    assert probes_after(scenario, seconds=91)
    answers(scenario, with_server(bad))
    assert not probes_after(scenario, minutes=9)
    assert probes_after(scenario, minutes=2)


def test_a_right_server_is_asked_in_each_interval() -> None:
    scenario = asked()
    assert not probes_after(scenario, minutes=59)
    assert probes_after(scenario, minutes=2)


def test_another_address_is_asked_soon() -> None:
    scenario = asked()
    scenario.change(probe={"featureServerUrl": "http://other:1"})
    assert probes_after(scenario, seconds=31)
    assert order_of(scenario).server == "http://other:1"


def test_a_runner_that_asks_no_server_is_not_started_over_and_over() -> None:
    scenario = asked(None)
    assert not probes_after(scenario, minutes=59)


def test_an_address_that_is_not_allowed_is_not_asked() -> None:
    scenario = ProjectScenario(mlflow=MLFLOW, probe={"featureServerUrl": URL})
    scenario.server_refused = NOT_ALLOWED
    scenario.linked = (CHAMPION,)
    scenario.apply()
    assert order_of(scenario).server == ""
    answers(scenario, GOOD)
    assert not probes_after(scenario, minutes=59)
    scenario.server_refused = None
    assert probes_after(scenario, seconds=1)
    assert order_of(scenario).server == URL
