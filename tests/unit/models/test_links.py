"""The features of a version: one test for each special case of Feast's records."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import strategies as some
from tests.strategies import EPOCH, Objects, edited, training_run

from feature_lineage.api.enums import LineageOrigin as Origin
from feature_lineage.features.services import service_members, service_refs
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.models.facts import ModelVersion, TrainingRun
from feature_lineage.models.links import Link, resolve_link
from feature_lineage.models.training_list import needs_artifact
from feature_lineage.reasons import Reason

REAL = some.real_snapshot()
VERSION = ModelVersion("driver_model", "1", EPOCH, run_id="run")
V1, V2 = "driver_activity_v1", "driver_activity_v2"
V1_REFS = [str(ref) for ref in service_refs(REAL, V1) or ()]
PAIR = ["driver_hourly_stats:conv_rate", "driver_hourly_stats:acc_rate"]


def _texts(link: Link) -> list[str]:
    return [str(ref) for ref in link.refs]


def _tagged(**tags: str) -> ModelVersion:
    return replace(VERSION, tags={f"feast.{key}": value for key, value in tags.items()})


def _cut(recorded: list[str], **more: str) -> TrainingRun:
    """A run whose list of features Feast truncated."""
    run = training_run(recorded, **more)
    text = ",".join(recorded)
    assert len(text) > 4990
    return replace(run, tags={**run.tags, "feast.feature_refs": text[:4990] + "..."})


def _wide(count: int) -> tuple[RegistrySnapshot, list[str]]:
    """The registry with a view, and a service of it, too wide for a tag."""
    columns = [some.field(f"feature_number_{number:04d}", "FLOAT") for number in range(count)]

    def widen(objects: Objects) -> None:
        view = {**objects["feature_view"]["driver_hourly_stats"], "name": "wide"}
        view["features"] = columns
        objects["feature_view"]["wide"] = view
        service = {"name": "wide_v1", "features": [some.projection(view, columns)]}
        objects["feature_service"]["wide_v1"] = service

    return edited(REAL, widen), [f"wide:{column['name']}" for column in columns]


def test_a_whole_list_of_the_run_is_the_list() -> None:
    actual = resolve_link(VERSION, training_run(V1_REFS, V1), REAL)

    assert _texts(actual) == V1_REFS
    assert actual.origin is Origin.RUN_TAG
    assert (actual.service, actual.recorded_service, actual.reason) == (V1, V1, None)
    assert (actual.count, actual.complete, actual.project) == (4, True, "driver_ranking")


def test_a_deleted_run_still_has_its_features() -> None:
    run = replace(training_run(V1_REFS, V1), deleted=True)

    assert resolve_link(VERSION, run, REAL).complete


def test_a_list_counts_but_not_a_larger_service_it_names() -> None:
    """Feast names the smallest superset; a model needs no service that it did not request."""
    actual = resolve_link(VERSION, training_run(PAIR, V1), REAL)

    assert _texts(actual) == PAIR
    assert (actual.service, actual.recorded_service) == ("", V1)
    assert actual.reason is Reason.SERVICE_MISMATCH
    assert actual.complete
    assert V1 in actual.problems[0]


def test_a_declared_service_of_that_list_corrects_a_wrong_name() -> None:
    def exact(objects: Objects) -> None:
        columns = objects["feature_service"][V1]["features"][0]
        objects["feature_service"]["pair"] = {"name": "pair", "features": [columns]}

    actual = resolve_link(VERSION, training_run(PAIR, V1), edited(REAL, exact), "pair")

    assert (actual.service, actual.reason, actual.origin) == ("pair", None, Origin.RUN_TAG)


class TestTruncated:
    """Feast cuts its tags at 4,990 characters and writes its artifact from the cut tag."""

    def test_a_recorded_service_of_the_recorded_size_is_the_list(self) -> None:
        registry, recorded = _wide(300)

        actual = resolve_link(VERSION, _cut(recorded, service="wide_v1"), registry)

        assert (actual.origin, actual.service) == (Origin.REGISTRY, "wide_v1")
        assert _texts(actual) == recorded

    def test_the_artifact_of_the_cut_tag_is_no_better(self) -> None:
        registry, recorded = _wide(300)
        run = _cut(recorded)
        cut = tuple(run.tags["feast.feature_refs"].split(","))

        actual = resolve_link(VERSION, replace(run, features_artifact=cut), registry)

        assert actual.reason is Reason.AMBIGUOUS

    def test_an_artifact_that_is_whole_is_the_list(self) -> None:
        registry, recorded = _wide(300)
        run = replace(_cut(recorded), features_artifact=tuple(recorded))

        actual = resolve_link(VERSION, run, registry)

        assert (actual.origin, _texts(actual)) == (Origin.ARTIFACT, recorded)

    def test_cut_in_the_last_reference_is_counted_correctly(self) -> None:
        registry, recorded = _wide(300)
        certain = recorded[:190]
        run = _cut([*certain, "wide:" + "x" * 300])
        assert len(run.tags["feast.feature_refs"].split(",")) == 191
        as_artifact = tuple(run.tags["feast.feature_refs"].split(","))

        for seen in (run, replace(run, features_artifact=as_artifact)):
            actual = resolve_link(VERSION, seen, registry)

            assert actual.reason is Reason.AMBIGUOUS
            assert _texts(actual) == certain
            assert not actual.complete

    def test_a_declared_service_of_that_size_is_the_list(self) -> None:
        registry, recorded = _wide(300)

        actual = resolve_link(VERSION, _cut(recorded), registry, "wide_v1")

        assert (actual.origin, _texts(actual), actual.reason) == (
            Origin.DECLARED,
            recorded,
            None,
        )

    def test_a_declared_service_that_cannot_be_the_list_is_reported(self) -> None:
        registry, recorded = _wide(300)

        actual = resolve_link(VERSION, _cut(recorded), registry, V1)

        assert actual.reason is Reason.AMBIGUOUS
        assert any(V1 in problem for problem in actual.problems)

    def test_a_service_of_that_size_with_other_features_is_rejected(self) -> None:
        registry, _ = _wide(300)
        other = [f"driver_hourly_stats:number_{number:04d}" for number in range(300)]

        actual = resolve_link(VERSION, _cut(other, service="wide_v1"), registry)

        assert actual.reason is Reason.AMBIGUOUS


def test_a_list_with_another_count_is_rejected() -> None:
    """A run that died between two tags has the list of one retrieval and the count of another."""
    run = training_run(PAIR)
    run = replace(run, tags={**run.tags, "feast.feature_count": "1"})

    actual = resolve_link(VERSION, run, REAL)

    assert (actual.reason, actual.refs) == (Reason.AMBIGUOUS, ())


def test_of_several_retrievals_only_what_is_recorded_is_known() -> None:
    """The last retrieval wins in every tag: a whole list, attributed to no service."""
    actual = resolve_link(VERSION, training_run(["globals_view:g"]), REAL)

    assert (_texts(actual), actual.reason, actual.service) == (["globals_view:g"], None, "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("driver_hourly_stats:conv_rate,", ["driver_hourly_stats:conv_rate"], id="end"),
        pytest.param("<script>,stats", [], id="no reference at all"),
        pytest.param("a:b:c,\x00", [], id="control characters"),
    ],
)
def test_a_list_with_malformed_references_is_not_believed(text: str, expected: list[str]) -> None:
    run = TrainingRun("run", EPOCH, tags={"feast.feature_refs": text, "feast.feature_count": "2"})

    actual = resolve_link(VERSION, run, REAL)

    assert actual.reason is Reason.AMBIGUOUS
    assert _texts(actual) == expected


@pytest.mark.parametrize("count", ["", "two", "-2", "٢", "9" * 5000])
def test_a_count_that_is_none_is_not_held_against_a_whole_list(count: str) -> None:
    run = training_run(PAIR)
    run = replace(run, tags={**run.tags, "feast.feature_count": count})

    actual = resolve_link(VERSION, run, REAL)

    assert (_texts(actual), actual.count) == (PAIR, None)


def test_names_beyond_ascii_are_names() -> None:
    actual = resolve_link(VERSION, training_run(["フィード:größe"]), REAL)

    assert _texts(actual) == ["フィード:größe"]


class TestVersionTags:
    """A version without a run, or with tags that a user wrote."""

    def test_they_are_the_list_where_there_is_no_run(self) -> None:
        version = _tagged(
            project="driver_ranking",
            feature_refs=",".join(V1_REFS),
            feature_count="4",
            feature_service=V1,
        )

        actual = resolve_link(version, None, REAL)

        assert (actual.origin, _texts(actual), actual.service) == (
            Origin.VERSION_TAG,
            V1_REFS,
            V1,
        )

    def test_a_services_name_and_a_count_are_enough(self) -> None:
        actual = resolve_link(_tagged(feature_service=V1, feature_count="4"), None, REAL)

        assert (actual.origin, _texts(actual)) == (Origin.REGISTRY, V1_REFS)

    def test_a_services_name_alone_may_be_a_guess(self) -> None:
        """Feast's register_model writes only this."""
        actual = resolve_link(_tagged(feature_service=V1), None, REAL)

        assert actual.reason is Reason.AMBIGUOUS
        assert (actual.refs, actual.service, actual.recorded_service) == ((), "", V1)

    def test_a_services_name_that_is_declared_too_is_the_list(self) -> None:
        actual = resolve_link(_tagged(feature_service=V1), None, REAL, V1)

        assert (actual.origin, _texts(actual), actual.reason) == (
            Origin.DECLARED,
            V1_REFS,
            None,
        )

    def test_another_service_declared_than_recorded_is_reported(self) -> None:
        actual = resolve_link(_tagged(feature_service=V1), None, REAL, V2)

        assert actual.reason is Reason.SERVICE_MISMATCH
        assert (actual.service, len(actual.refs)) == (V2, 7)

    def test_two_whole_lists_that_differ_are_ambiguous(self) -> None:
        version = _tagged(feature_refs="globals_view:g", feature_count="1")

        actual = resolve_link(version, training_run(PAIR), REAL)

        assert (actual.reason, actual.refs) == (Reason.AMBIGUOUS, ())

    def test_two_whole_lists_in_another_order_are_one(self) -> None:
        version = _tagged(feature_refs=",".join(reversed(PAIR)), feature_count="2")

        assert _texts(resolve_link(version, training_run(PAIR), REAL)) == PAIR


class TestDeclared:
    """The declaration of the resource, compared with the records."""

    def test_a_declaration_alone_is_the_list(self) -> None:
        actual = resolve_link(VERSION, None, REAL, V1)

        assert (actual.origin, actual.service, _texts(actual)) == (
            Origin.DECLARED,
            V1,
            V1_REFS,
        )

    def test_a_differing_record_counts_and_is_reported(self) -> None:
        actual = resolve_link(VERSION, training_run(V1_REFS, V1), REAL, V2, "Report")

        assert (actual.service, _texts(actual)) == (V1, V1_REFS)
        assert actual.reason is Reason.SERVICE_MISMATCH
        assert V2 in actual.problems[0]

    def test_a_declaration_that_overrules_is_the_list(self) -> None:
        actual = resolve_link(VERSION, training_run(V1_REFS, V1), REAL, V2, "UseDeclared")

        assert (actual.origin, actual.service, actual.reason) == (Origin.DECLARED, V2, None)
        assert actual.recorded_service == V1

    def test_a_declaration_that_overrules_settles_a_contradiction(self) -> None:
        version = _tagged(feature_refs="globals_view:g", feature_count="1")

        actual = resolve_link(version, training_run(PAIR), REAL, V1, "UseDeclared")

        assert (actual.origin, actual.service) == (Origin.DECLARED, V1)

    def test_a_declared_service_that_never_was_is_not_gone(self) -> None:
        actual = resolve_link(VERSION, None, REAL, "typo")

        assert (actual.service, actual.refs, actual.reason) == ("", (), Reason.AMBIGUOUS)
        (problem,) = actual.problems
        assert problem == (
            "declared service typo is not in the registry; "
            "correct spec.featureService, or apply the service"
        )


def test_an_alias_is_resolved_to_the_view_behind_it() -> None:
    recorded = [member.spelled for member in service_members(REAL, V2) or ()]
    assert "dc_alias:clicks" in recorded

    actual = resolve_link(VERSION, training_run(recorded, V2), REAL)

    assert "driver_customer:clicks" in _texts(actual)
    assert (actual.service, actual.reason) == (V2, None)


def test_a_view_under_two_aliases_counts_twice_and_is_used_once() -> None:
    def twice(objects: Objects) -> None:
        projections = objects["feature_service"][V2]["features"]
        projections.append({**projections[1], "feature_view_name_alias": "other"})

    registry = edited(REAL, twice)
    recorded = [member.spelled for member in service_members(registry, V2) or ()]

    actual = resolve_link(VERSION, training_run(recorded, V2), registry)

    assert (actual.count, len(actual.refs), actual.service) == (8, 7, V2)


@pytest.mark.parametrize(
    ("version", "run"),
    [
        pytest.param(VERSION, None, id="no run"),
        pytest.param(VERSION, TrainingRun("run", EPOCH), id="a run without tags"),
        pytest.param(
            _tagged(project="other"), TrainingRun("run", EPOCH), id="nothing but a project"
        ),
    ],
)
def test_without_any_record_there_is_no_lineage(
    version: ModelVersion, run: TrainingRun | None
) -> None:
    assert resolve_link(version, run, REAL).reason is Reason.NO_FEAST_LINEAGE


@pytest.mark.parametrize(
    ("version", "run"),
    [
        pytest.param(
            VERSION, training_run(PAIR, **{"feast.project": "other"}), id="the run names it"
        ),
        pytest.param(_tagged(project="other"), training_run(PAIR), id="the version names it"),
    ],
)
def test_features_of_another_project_are_rejected(version: ModelVersion, run: TrainingRun) -> None:
    actual = resolve_link(version, run, REAL)

    assert actual.reason is Reason.PROJECT_MISMATCH
    assert (actual.project, actual.refs) == ("other", ())


class TestWithoutRegistry:
    """The registry may not have been read yet."""

    def test_a_recorded_list_is_known_all_the_same(self) -> None:
        actual = resolve_link(VERSION, training_run(PAIR, V1), None, project="driver_ranking")

        assert (_texts(actual), actual.reason, actual.service) == (PAIR, None, V1)

    def test_a_project_that_differs_is_seen_all_the_same(self) -> None:
        actual = resolve_link(VERSION, training_run(PAIR), None, project="other")

        assert actual.reason is Reason.PROJECT_MISMATCH

    def test_facts_of_the_registry_wait_for_its_first_read(self) -> None:
        actual = resolve_link(VERSION, None, None, V1)

        assert actual.reason is Reason.REGISTRY_UNSEEN


def test_a_service_is_read_as_it_was_at_training_time() -> None:
    """A service that lost a feature later is a change of the service, not another list."""
    now = edited(REAL, lambda o: o["feature_service"][V1]["features"].pop())

    actual = resolve_link(VERSION, training_run(V1_REFS, V1), now, trained_on=REAL)

    assert (actual.service, actual.reason) == (V1, None)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        pytest.param(lambda: training_run(PAIR), False, id="the tag is whole"),
        pytest.param(lambda: _cut(_wide(300)[1]), True, id="the tag is cut"),
        pytest.param(
            lambda: replace(_cut(_wide(300)[1]), features_artifact=()), False, id="it was read"
        ),
        pytest.param(lambda: TrainingRun("run", EPOCH), False, id="no Feast at all"),
    ],
)
def test_the_artifact_is_asked_for_only_where_it_can_help(
    make: Callable[[], TrainingRun], expected: bool
) -> None:
    assert expected == bool(needs_artifact(VERSION, make()))


@given(some.snapshots(), st.data())
def test_a_list_as_feast_records_it_is_found_again(
    snapshot: RegistrySnapshot, data: st.DataObject
) -> None:
    version, run = data.draw(some.trained_versions(snapshot))
    service = run.tags.get("feast.feature_service", "")

    actual = resolve_link(version, run, snapshot)

    assert actual.complete
    if service:
        assert actual.refs == service_refs(snapshot, service)
        assert (actual.service, actual.reason) == (service, None)


tags = st.dictionaries(
    st.sampled_from(
        ["feast.project", "feast.feature_service", "feast.feature_refs", "feast.feature_count"]
    ),
    st.text(max_size=30) | st.sampled_from([V1, V2, "2", "4", ",".join(PAIR), "driver_ranking"]),
)


@given(
    tags, tags, st.none() | st.tuples(st.text(), st.text()), st.sampled_from([None, "", V1, "x"])
)
def test_whatever_is_in_the_tags_there_is_an_answer(
    on_version: dict[str, str],
    on_run: dict[str, str],
    artifact: tuple[str, ...] | None,
    declared: str | None,
) -> None:
    version = replace(VERSION, tags=on_version)
    run = TrainingRun("run", EPOCH, tags=on_run, features_artifact=artifact)

    actual = resolve_link(version, run, REAL, declared)

    assert actual.complete or actual.reason is not None or actual.service
