"""The verdicts and their exact text in the API."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import strategies as some
from tests.strategies import Objects, edited

from feature_lineage.features.definitions import define_all
from feature_lineage.features.refs import FeatureRef
from feature_lineage.features.services import service_refs
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.models.facts import ModelVersion
from feature_lineage.models.links import Link, resolve_link
from feature_lineage.models.verdicts import (
    BREAKING,
    Problem,
    ProblemKind,
    Verdict,
    compare,
    judge,
)
from feature_lineage.reasons import Reason

REAL = some.real_snapshot()
V1, V2 = "driver_activity_v1", "driver_activity_v2"
CONV = "driver_hourly_stats:conv_rate"
PAIR = (FeatureRef.parse(CONV), FeatureRef.parse("driver_hourly_stats:acc_rate"))


def _link(*texts: str, **more: object) -> Link:
    refs = tuple(FeatureRef.parse(text) for text in texts) or PAIR
    return Link("driver_ranking", refs=refs, **more)  # type: ignore[arg-type]


def _view(**changes: object) -> Callable[[Objects], object]:
    return lambda objects: objects["feature_view"]["driver_hourly_stats"].update(changes)


def _without_conv(objects: Objects) -> None:
    features = objects["feature_view"]["driver_hourly_stats"]["features"]
    features[:] = [item for item in features if item["name"] != "conv_rate"]


def _retyped(objects: Objects) -> None:
    for item in objects["feature_view"]["driver_hourly_stats"]["features"]:
        item["value_type"] = "STRING"


def _split_key(objects: Objects, without: str = "") -> None:
    objects["feature_service"].pop(without, None)
    objects["entity"]["driver"]["value_type"] = "STRING"


def _recoded(objects: Objects) -> None:
    objects["on_demand_feature_view"]["transformed"]["feature_transformation"] = some.udf("a")


def _new_column(objects: Objects) -> None:
    """As Feast applies it: the on-demand view over the whole view gets the column too."""
    column = some.field("rating", "FLOAT")
    objects["feature_view"]["driver_hourly_stats"]["features"].append(column)
    source = objects["on_demand_feature_view"]["transformed"]["sources"]["driver_hourly_stats"]
    source["feature_view_projection"]["feature_columns"].append(column)


def _annotations(objects: Objects) -> None:
    view = objects["feature_view"]["driver_hourly_stats"]
    view["tags"], view["owner"], view["description"] = {"a": "b"}, "x", "y"
    view["batch_source"]["description"] = "z"


GONE, VIEW_GONE = ProblemKind.FEATURE_GONE, ProblemKind.VIEW_GONE
ON_DEMAND = _link("transformed:conv_plus")


@pytest.mark.parametrize(
    ("link", "edit", "verdict", "kinds"),
    [
        pytest.param(_link(), lambda _: None, Verdict.VERIFIED, set(), id="nothing changed"),
        pytest.param(_link(), _annotations, Verdict.VERIFIED, set(), id="tags, owner, description"),
        pytest.param(_link(), _without_conv, Verdict.BROKEN, {GONE}, id="a feature is gone"),
        pytest.param(
            _link(),
            lambda o: o["feature_view"].pop("driver_hourly_stats"),
            Verdict.BROKEN,
            {VIEW_GONE},
            id="its view is gone",
        ),
        pytest.param(
            _link(), _retyped, Verdict.BROKEN, {ProblemKind.TYPE_CHANGED}, id="another type"
        ),
        pytest.param(
            _link(), _split_key, Verdict.BROKEN, {ProblemKind.JOIN_KEYS_CHANGED}, id="other keys"
        ),
        pytest.param(
            _link(),
            _view(batch_source=some.source("other")),
            Verdict.CHANGED,
            {ProblemKind.SOURCE_CHANGED},
            id="another source",
        ),
        pytest.param(
            _link(), _view(ttl="60s"), Verdict.CHANGED, {ProblemKind.TTL_CHANGED}, id="another TTL"
        ),
        pytest.param(
            _link(),
            _view(version="v1"),
            Verdict.CHANGED,
            {ProblemKind.VERSION_CHANGED},
            id="another version",
        ),
        pytest.param(
            ON_DEMAND,
            _recoded,
            Verdict.CHANGED,
            {ProblemKind.TRANSFORMATION_CHANGED},
            id="another function",
        ),
        pytest.param(
            ON_DEMAND,
            _retyped,
            Verdict.CHANGED,
            {ProblemKind.SOURCE_CHANGED},
            id="on demand: another type of an input",
        ),
        pytest.param(
            ON_DEMAND,
            _without_conv,
            Verdict.CHANGED,
            {ProblemKind.SOURCE_CHANGED},
            id="on demand: an input is gone",
        ),
        pytest.param(
            ON_DEMAND,
            lambda o: o["feature_view"].pop("driver_hourly_stats"),
            Verdict.BROKEN,
            {VIEW_GONE},
            id="on demand: a source view is gone",
        ),
        pytest.param(
            ON_DEMAND, _new_column, Verdict.VERIFIED, set(), id="on demand: a column more to read"
        ),
        pytest.param(
            _link(service=V1),
            lambda o: o["feature_service"].pop(V1),
            Verdict.BROKEN,
            {ProblemKind.SERVICE_GONE},
            id="its service is gone",
        ),
        pytest.param(
            _link("transformed:conv_plus", service=V1),
            lambda o: o["feature_service"][V1]["features"].pop(),
            Verdict.BROKEN,
            {GONE},
            id="its service does not serve the feature any more",
        ),
        pytest.param(
            _link(service=V1),
            lambda o: o["feature_service"][V1]["features"][0].update(version_tag=0),
            Verdict.CHANGED,
            {ProblemKind.VERSION_CHANGED},
            id="its service serves another version",
        ),
        pytest.param(
            _link("driver_customer:clicks", service=V2),
            lambda o: o["feature_service"][V2]["features"][1].pop("join_key_map"),
            Verdict.BROKEN,
            {ProblemKind.JOIN_KEYS_CHANGED},
            id="its service asks for other keys",
        ),
        pytest.param(
            _link("driver_customer:clicks", service=V2),
            lambda o: o["feature_service"].pop(V2),
            Verdict.BROKEN,
            {ProblemKind.SERVICE_GONE},
            id="a service that is gone is one problem, not two",
        ),
        pytest.param(
            _link("driver_customer:clicks", service=V2),
            lambda o: _split_key(o, without=V2),
            Verdict.BROKEN,
            {ProblemKind.SERVICE_GONE, ProblemKind.JOIN_KEYS_CHANGED},
            id="a service that is gone hides no changed keys",
        ),
        pytest.param(
            _link("driver_hourly_stats@v1:conv_rate"),
            _retyped,
            Verdict.VERIFIED,
            set(),
            id="a pinned version is frozen",
        ),
        pytest.param(
            _link("driver_hourly_stats@v1:conv_rate"),
            lambda o: o["feature_view"].pop("driver_hourly_stats"),
            Verdict.BROKEN,
            {VIEW_GONE},
            id="a pinned version goes with its view",
        ),
    ],
)
def test_a_verdict_follows_from_what_changed(
    link: Link, edit: Callable[[Objects], object], verdict: Verdict, kinds: set[ProblemKind]
) -> None:
    actual = judge(link, REAL, "Training", edited(REAL, edit))

    assert (verdict, kinds) == (actual.verdict, {problem.kind for problem in actual.problems})
    assert actual.reason == verdict


@pytest.mark.parametrize(("edit", "same"), [(_annotations, True), (_view(ttl="60s"), False)])
def test_the_schema_digests_differ_if_definitions_differ(
    edit: Callable[[Objects], object], same: bool
) -> None:
    actual = judge(_link(), REAL, "Training", edited(REAL, edit))

    assert same == (actual.baseline_schema_digest == actual.current_schema_digest)


def test_the_worst_problem_decides_and_all_are_listed() -> None:
    def edit(objects: Objects) -> None:
        _without_conv(objects)
        _view(ttl="60s")(objects)

    actual = judge(_link(), REAL, "Training", edited(REAL, edit))

    assert actual.verdict is Verdict.BROKEN
    assert actual.problems == (
        Problem("driver_hourly_stats:acc_rate", ProblemKind.TTL_CHANGED, "1d", "1m"),
        Problem(CONV, ProblemKind.FEATURE_GONE, "FLOAT"),
    )
    assert actual.message == f"{CONV} FeatureGone (was FLOAT)"


def test_since_first_sight_only_it_is_unchanged() -> None:
    assert judge(_link(), REAL, "FirstSight", REAL).verdict is Verdict.UNCHANGED


@pytest.mark.parametrize(
    ("reason", "verdict"),
    [
        (Reason.NO_FEAST_LINEAGE, Verdict.UNKNOWN),
        (Reason.PROJECT_MISMATCH, Verdict.AMBIGUOUS),
        (Reason.REGISTRY_UNSEEN, Verdict.UNKNOWN),
        (Reason.AMBIGUOUS, Verdict.AMBIGUOUS),
        (Reason.SERVICE_MISMATCH, Verdict.VERIFIED),
    ],
)
def test_the_reason_of_a_link_shows(reason: Reason, verdict: Verdict) -> None:
    actual = judge(_link(reason=reason, problems=("why",)), REAL, "Training", REAL)

    assert (verdict, reason) == (actual.verdict, actual.reason)


@pytest.mark.parametrize("reason", sorted(set(Reason) - {Reason.SERVICE_MISMATCH}))
def test_link_with_any_other_reason_is_never_verified(reason: Reason) -> None:
    """Also with a reason that a link does not have today and that has no check."""
    link = _link(reason=reason, problems=("why",))
    actual = judge(link, REAL, "Training", REAL)

    assert actual.verdict in (Verdict.AMBIGUOUS, Verdict.UNKNOWN)
    assert actual.reason is reason
    assert not link.complete


def test_a_wrong_service_name_does_not_hide_a_broken_feature() -> None:
    link = _link(reason=Reason.SERVICE_MISMATCH, problems=("why",))

    actual = judge(link, REAL, "Training", edited(REAL, _without_conv))

    assert (actual.verdict, actual.reason) == (Verdict.BROKEN, "Broken")


def test_what_is_certain_of_a_cut_list_can_be_broken() -> None:
    link = _link(reason=Reason.AMBIGUOUS, problems=("why",))

    assert judge(link, REAL, "Training", edited(REAL, _without_conv)).verdict is Verdict.BROKEN


class TestUnseen:
    """Views that were not read have no verdict."""

    def test_no_registry(self) -> None:
        actual = judge(_link(), REAL, "Training", None)

        assert (actual.verdict, actual.reason) == (Verdict.UNKNOWN, "RegistryUnseen")
        assert actual.current_schema_digest == ""

    def test_a_baseline_that_is_not_kept(self) -> None:
        actual = judge(_link(), None, "Training", REAL)

        assert (actual.verdict, actual.reason) == (Verdict.UNKNOWN, "BaselineLost")

    def test_a_feature_that_is_gone_is_gone_without_a_baseline(self) -> None:
        actual = judge(_link(), None, "Training", edited(REAL, _without_conv))

        assert actual.verdict is Verdict.BROKEN

    def test_a_recorded_digest_stands_in_as_long_as_nothing_changed(self) -> None:
        digest = judge(_link(), REAL, "Training", REAL).baseline_schema_digest
        changed = edited(REAL, _view(ttl="60s"))

        same = judge(_link(), None, "Training", REAL, recorded_digest=digest)
        other = judge(_link(), None, "Training", changed, recorded_digest=digest)

        assert (same.verdict, other.verdict) == (Verdict.VERIFIED, Verdict.UNKNOWN)

    def test_a_feature_that_the_baseline_lacks_is_not_verified(self) -> None:
        """The registry was read between a change and a training: known, but another one."""
        actual = judge(_link(), edited(REAL, _without_conv), "Training", REAL)

        assert actual.verdict is Verdict.UNCHANGED
        assert CONV in actual.message

    def test_a_feature_that_neither_has_is_broken(self) -> None:
        lacking = edited(REAL, _without_conv)

        actual = judge(_link(), lacking, "Training", lacking)

        assert actual.verdict is Verdict.BROKEN

    def test_a_declared_service_that_never_was_is_broken(self) -> None:
        link = Link("driver_ranking", service="gone")

        assert judge(link, REAL, "FirstSight", REAL).verdict is Verdict.BROKEN

    def test_a_service_without_features_verifies_nothing(self) -> None:
        now = edited(REAL, lambda o: o["feature_service"][V1].pop("features"))
        link = resolve_link(ModelVersion("m", "1", some.EPOCH), None, now, V1)

        assert judge(link, now, "FirstSight", now).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("was", "now", "verdict"),
    [("a", "b", Verdict.CHANGED), ("a", "a", Verdict.VERIFIED), ("", "b", Verdict.VERIFIED)],
)
def test_code_of_a_function_counts_only_if_known_on_both_sides(
    was: str, now: str, verdict: Verdict
) -> None:
    sides = [
        RegistrySnapshot(REAL.project, REAL.objects, {"transformed": text} if text else {})
        for text in (was, now)
    ]

    assert verdict == judge(ON_DEMAND, sides[0], "Training", sides[1]).verdict


def test_a_message_names_three_problems_and_counts_the_rest() -> None:
    every = service_refs(REAL, V2) or ()
    gone = edited(REAL, lambda o: [o.pop(kind) for kind in list(o) if kind.endswith("view")])

    message = judge(Link(refs=every), REAL, "Training", gone).message

    assert message.endswith("and 4 more")
    assert message.count("ViewGone") == 3


@given(some.snapshots(), st.data())
def test_a_missing_or_retyped_feature_is_never_verified(
    was: RegistrySnapshot, data: st.DataObject
) -> None:
    refs = data.draw(some.used_refs(was))
    now = data.draw(some.edits(was))
    before = {d.ref: d.dtype for d in define_all(was, refs)}
    after = {d.ref: d.dtype for d in define_all(now, refs)}

    verdict = judge(Link(refs=refs), was, "Training", now).verdict

    assert before == after or verdict is Verdict.BROKEN


@given(some.snapshots(), st.data())
def test_tags_owner_and_description_are_never_a_problem(
    was: RegistrySnapshot, data: st.DataObject
) -> None:
    now = data.draw(some.annotated(was))

    assert compare(define_all(was, some.all_refs(was)), now) == ()


@given(some.snapshots(), st.data())
def test_unrelated_views_change_no_judgement(was: RegistrySnapshot, data: st.DataObject) -> None:
    refs, now = data.draw(some.used_refs(was)), data.draw(some.edits(was))
    view = {"name": "unrelated", "features": [some.field("x", "INT64")], "ttl": "1s"}
    more = edited(now, lambda o: o.setdefault("feature_view", {}).update(unrelated=view))

    assert judge(Link(refs=refs), was, "Training", now) == judge(
        Link(refs=refs), was, "Training", more
    )


@given(some.snapshots(), st.data())
def test_problems_are_there_exactly_when_the_verdict_says_so(
    was: RegistrySnapshot, data: st.DataObject
) -> None:
    now = data.draw(some.edits(was))
    version, run = data.draw(some.trained_versions(was))

    actual = judge(resolve_link(version, run, now, trained_on=was), was, "Training", now)

    assert actual.problems == tuple(sorted(actual.problems))
    breaking = any(problem.kind in BREAKING for problem in actual.problems)
    expected = (
        Verdict.BROKEN if breaking else Verdict.CHANGED if actual.problems else Verdict.VERIFIED
    )
    assert expected == actual.verdict
