"""Which list is that of training, from the records of several retrievals in one run."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import strategies as some
from tests.strategies import EPOCH, Objects, edited
from tests.unit.models.feast_records import Kind, Log, Recorded, Retrieval, Step, recorded

from feature_lineage.api.enums import LineageOrigin as Origin
from feature_lineage.features.services import service_members
from feature_lineage.models.facts import TrainingRun
from feature_lineage.models.links import Link, resolve_link
from feature_lineage.models.training_list import needs_artifact, needs_count
from feature_lineage.models.verdicts import Verdict, judge
from feature_lineage.reasons import Reason

REAL = some.real_snapshot()
STATS = "driver_hourly_stats"
A = (f"{STATS}:conv_rate", f"{STATS}:acc_rate")
B = (f"{STATS}:avg_daily_trips",)
C = ("globals_view:g", f"{STATS}:conv_rate")
LISTS = {"A": A, "B": B, "C": C}
LOG = Log()


def hist(refs: Sequence[str]) -> Retrieval:
    return Retrieval("historical", tuple(refs))


def online(refs: Sequence[str]) -> Retrieval:
    return Retrieval("online", tuple(refs))


def link(*steps: Step, declared: str | None = None) -> Link:
    made = recorded(*steps)
    return resolve_link(made.version(), made.run(), REAL, declared)


def texts(found: Link) -> tuple[str, ...]:
    return tuple(str(ref) for ref in found.refs)


def test_an_online_retrieval_after_the_model_changes_nothing() -> None:
    found = link(hist(A), LOG, online(B))

    assert (texts(found), found.origin, found.reason) == (A, Origin.ARTIFACT, None)


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([hist(A), hist(B), LOG], id="both before the model"),
        pytest.param([hist(A), LOG, hist(B)], id="one after the model"),
        pytest.param([hist(A), online(B), LOG], id="online before the model"),
        pytest.param([online(A), LOG, hist(B)], id="historical after the model"),
        pytest.param([hist(A), hist(B), online(C), LOG], id="three"),
    ],
)
def test_what_may_be_of_training_is_ambiguous_and_named(steps: list[Step]) -> None:
    found = link(*steps)

    assert (found.reason, found.refs) == (Reason.AMBIGUOUS, ())
    message = "; ".join(found.problems)
    assert "retrievals of features" in message
    assert "feast.feature_refs" in message
    assert "spec.featureService" in message


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([online(A), LOG], id="online only"),
        pytest.param([LOG, hist(A)], id="after the model"),
        pytest.param([online(A), online(B), LOG, online(C)], id="three online"),
    ],
)
def test_what_is_no_record_of_training_is_none(steps: list[Step]) -> None:
    found = link(*steps)

    assert found.reason is Reason.NO_FEAST_LINEAGE
    assert found.problems
    judgement = judge(found, REAL, "Training", REAL)
    assert judgement.verdict is Verdict.UNKNOWN
    assert found.problems[0] in judgement.message


def test_the_order_at_training_counts_not_that_of_a_later_retrieval() -> None:
    found = link(hist(A), LOG, hist(tuple(reversed(A))))

    assert (texts(found), found.reason) == (A, None)


def test_each_model_of_a_run_has_its_own_order() -> None:
    made = recorded(hist(A), Log("first"), online(B), Log("second", by_feast=False))

    for name in ("first", "second"):
        found = resolve_link(made.version(name), made.run(), REAL)
        assert (texts(found), found.origin) == (A, Origin.ARTIFACT)


class TestSignature:
    """The columns that a model reads tell which of several lists it was trained on."""

    def test_columns_of_one_list_only_prove_it(self) -> None:
        inputs = ("avg_daily_trips",)
        found = link(hist(A), hist(B), Log(inputs=inputs))

        assert (texts(found), found.origin, found.reason) == (B, Origin.RUN_TAG, None)

    def test_full_names_prove_it_too(self) -> None:
        inputs = tuple(ref.replace(":", "__") for ref in A)
        found = link(hist(B), hist(A), Log(inputs=inputs))

        assert (texts(found), found.reason) == (A, None)

    def test_columns_of_an_overwritten_list_prove_nothing(self) -> None:
        found = link(hist(A), hist(B), Log(inputs=("conv_rate", "acc_rate")))

        assert (found.reason, found.refs) == (Reason.AMBIGUOUS, ())


def test_a_name_in_two_views_proves_nothing() -> None:
    """The overwritten list may have the feature of the other view."""

    def double(objects: Objects) -> None:
        view = {**objects["feature_view"][STATS], "name": "copy"}
        objects["feature_view"]["copy"] = view

    made = recorded(hist(A), hist(B), Log(inputs=("avg_daily_trips",)))
    found = resolve_link(made.version(), made.run(), edited(REAL, double))

    assert found.reason is Reason.AMBIGUOUS


class TestNested:
    """The model is logged in a run inside of the one that retrieved the features."""

    def test_the_record_of_the_parent_counts(self) -> None:
        found = self.nested([hist(A)], [LOG])

        assert (texts(found), found.origin, found.reason) == (A, Origin.PARENT_RUN, None)
        assert found.project == "driver_ranking"

    def test_an_own_record_counts_more(self) -> None:
        found = self.nested([hist(A)], [hist(B), LOG])

        assert (texts(found), found.origin) == (B, Origin.RUN_TAG)

    def test_an_own_online_retrieval_is_no_record(self) -> None:
        found = self.nested([hist(A)], [online(B), LOG])

        assert (texts(found), found.origin) == (A, Origin.PARENT_RUN)

    def test_two_retrievals_of_the_parent_are_ambiguous(self) -> None:
        assert self.nested([hist(A), hist(B)], [LOG]).reason is Reason.AMBIGUOUS

    def test_a_later_retrieval_of_the_parent_is_none_of_training(self) -> None:
        assert self.nested([], [LOG], [hist(A)]).reason is Reason.NO_FEAST_LINEAGE

    def test_an_online_retrieval_of_the_parent_after_it_leaves_doubt(self) -> None:
        assert self.nested([hist(A)], [LOG], [online(B)]).reason is Reason.AMBIGUOUS

    @staticmethod
    def nested(before: list[Step], inside: list[Step], after: Sequence[Step] = ()) -> Link:
        outer = Recorded("outer").record(before)
        inner = Recorded("inner", start_ms=1000).record(inside)
        outer.start_ms = 2000
        outer.record(after)
        since = EPOCH.replace(year=1970) + timedelta(milliseconds=1000)
        run = inner.run(started_at=since, parent=outer.run(), parent_id="outer")
        return resolve_link(inner.version(), run, REAL)


class TestVersionTags:
    """Tags of the version, by a person or by an earlier version of the operator."""

    def test_a_copy_of_an_online_record_does_not_count(self) -> None:
        made = recorded(hist(A), LOG, online(B))
        version = made.version(
            feature_refs=",".join(B), feature_count="1", feature_service="driver_activity_v1"
        )

        found = resolve_link(version, made.run(), REAL)

        assert (texts(found), found.origin, found.reason) == (A, Origin.ARTIFACT, None)

    def test_a_copy_of_an_online_record_alone_is_no_record(self) -> None:
        made = recorded(online(B), LOG)
        version = made.version(feature_refs=",".join(B), feature_count="1")

        assert resolve_link(version, made.run(), REAL).reason is Reason.NO_FEAST_LINEAGE

    def test_another_list_by_hand_settles_a_doubt(self) -> None:
        made = recorded(hist(A), hist(B), LOG)
        version = made.version(feature_refs=",".join(A), feature_count="2")

        found = resolve_link(version, made.run(), REAL)

        assert (texts(found), found.origin) == (A, Origin.VERSION_TAG)

    def test_a_contradiction_names_both_lists_and_the_way_out(self) -> None:
        made = recorded(hist(A), LOG)
        version = made.version(feature_refs=",".join(B), feature_count="1")

        found = resolve_link(version, made.run(), REAL)

        message = "; ".join(found.problems)
        assert found.reason is Reason.AMBIGUOUS
        assert A[0] in message
        assert B[0] in message
        assert "spec.featureService" in message


def test_a_declared_service_settles_a_doubt() -> None:
    found = link(hist(A), hist(B), LOG, declared="driver_activity_v1")

    assert (found.origin, found.service) == (Origin.DECLARED, "driver_activity_v1")


class TestCommas:
    """Feast joins references by commas, and a name may have one."""

    NAMES = (f"{STATS}:conv,rate", f"{STATS}:acc_rate")

    @staticmethod
    def rename(objects: Objects) -> None:
        view = objects["feature_view"][STATS]
        view["features"] = [some.field("conv,rate", "FLOAT"), some.field("acc_rate", "FLOAT")]
        service = {"name": "comma", "features": [some.projection(view, view["features"])]}
        objects["feature_service"] = {"comma": service}

    @pytest.mark.parametrize("service", ["comma", ""])
    def test_the_service_or_the_registry_decides(self, service: str) -> None:
        registry = edited(REAL, self.rename)
        run = some.training_run(list(self.NAMES), service)

        found = resolve_link(replace(recorded(LOG).version(), logged=None), run, registry)

        assert (texts(found), found.origin, found.reason) == (self.NAMES, Origin.RUN_TAG, None)
        assert found.service == service

    def test_a_declared_service_of_the_same_features_is_that_list(self) -> None:
        registry = edited(REAL, self.rename)
        run = some.training_run(list(self.NAMES))

        found = resolve_link(recorded(LOG).version(), run, registry, "comma")

        assert (found.service, found.reason) == ("comma", None)
        assert len(service_members(registry, "comma") or ()) == 2

    def test_an_unknown_name_is_not_guessed(self) -> None:
        run = some.training_run(["v:a,b", "v:c"])

        assert resolve_link(recorded(LOG).version(), run, REAL).reason is Reason.AMBIGUOUS


kinds = st.sampled_from(("historical", "online"))
retrievals = st.builds(lambda kind, key: Retrieval(kind, LISTS[key]), kinds, st.sampled_from("ABC"))


@settings(max_examples=1500)
@given(st.data())
def test_no_sequence_of_retrievals_verifies_a_wrong_list(data: st.DataObject) -> None:
    """Right is the one list of all historical retrievals before the model.

    Where there is none, it is the list of all retrievals before the model, if the run retrieved it
    historically, too: then no record names another one. A signature says which list is read.
    """
    steps: list[Step] = list(data.draw(st.lists(retrievals, max_size=4)))
    place = data.draw(st.integers(0, len(steps)))
    read = [s.refs for s in steps[:place] if isinstance(s, Retrieval) and s.kind == "historical"]
    signed = data.draw(st.sampled_from([None, *read]))
    inputs = tuple(ref.partition(":")[2] for ref in signed) if signed else None
    steps.insert(place, Log(by_feast=data.draw(st.booleans()), inputs=inputs))
    for _ in range(data.draw(st.integers(0, 1))):
        other = Log("other", by_feast=data.draw(st.booleans()))
        steps.insert(data.draw(st.integers(0, len(steps))), other)
    made = recorded(*steps)
    version, run = made.version(), made.run()
    unread = data.draw(st.booleans())
    if unread:
        run = replace(run, retrievals=None, features_artifact=None)

    found = resolve_link(version, run, REAL)

    if judge(found, REAL, "Training", REAL).verdict is Verdict.VERIFIED:
        position = next(i for i, s in enumerate(steps) if isinstance(s, Log) and s.name == "model")
        before = [step for step in steps[:position] if isinstance(step, Retrieval)]
        trained = [step for step in before if step.kind == "historical"]
        right = {signed} if signed else {step.refs for step in trained or before}
        assert right == {texts(found)}
        assert any(s == Retrieval("historical", texts(found)) for s in steps)


@given(st.lists(retrievals, max_size=4), st.integers(0, 4))
def test_what_was_not_read_cannot_change_a_list(steps: list[Step], place: int) -> None:
    """If nothing more is needed, the records that were not read would not change the answer."""
    steps = [*steps[:place], LOG, *steps[place:]]
    made = recorded(*steps)
    version, whole = made.version(), made.run()
    run = replace(whole, retrievals=None, features_artifact=None)
    if needs_count(version, run):
        run = replace(run, retrievals=whole.retrievals)
    if needs_artifact(version, run):
        run = replace(run, features_artifact=whole.features_artifact)

    less, more = resolve_link(version, run, REAL), resolve_link(version, whole, REAL)

    assert (less.refs, less.reason) == (more.refs, more.reason)


@pytest.mark.parametrize("kind", ["historical", "online"])
def test_one_retrieval_needs_no_further_request(kind: Kind) -> None:
    made = recorded(Retrieval(kind, A), LOG)
    run: TrainingRun = replace(made.run(), retrievals=None, features_artifact=None)

    assert not needs_count(made.version(), run)
    assert not needs_artifact(made.version(), run)
