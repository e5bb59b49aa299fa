"""Whether a commit may be applied: every case with yes, and every case with no."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.operations.build import NOW, model, registry, request, service, view

from feature_lineage.features.diff import Change, ChangeClass
from feature_lineage.features.refs import FeatureRef
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.operations.explain import explain
from feature_lineage.operations.plan import Plan, PlanVerdict, names_plan, short, unpruned
from feature_lineage.operations.plan_checks import make_plan
from feature_lineage.operations.protocol import ApplyRequest, PlanOverride

BASELINE = registry({"stats": view({"conv_rate": "FLOAT", "acc_rate": "FLOAT"})})
BREAKING = registry({"stats": view({"acc_rate": "FLOAT"})})
CHANGING = registry(
    {"stats": view({"conv_rate": "FLOAT", "acc_rate": "FLOAT"}, source="elsewhere.parquet")}
)
GROWING = registry({**BASELINE.objects["feature_view"], "orders": view({"total": "DOUBLE"})})
RETAGGED = registry(
    {"stats": view({"conv_rate": "FLOAT", "acc_rate": "FLOAT"}, tags={"team": "x"})}
)
EMPTY = registry()
ENTITIES = registry(entity={"driver": {"name": "driver", "join_key": "driver_id"}})
OTHERS = registry({"orders": view({"total": "DOUBLE"})})
REGISTRY = "registry-1"
CHAMPION = model(BASELINE, ["stats:conv_rate"])


def plan(
    asked: ApplyRequest,
    desired: RegistrySnapshot,
    current: RegistrySnapshot = BASELINE,
    *,
    minutes_later: float = 0,
    online_tables_dropped: tuple[str, ...] = (),
    other_owner: str | None = None,
) -> Plan:
    return make_plan(
        current=current,
        desired=desired,
        request=asked,
        now=NOW + timedelta(minutes=minutes_later),
        registry_id=REGISTRY,
        online_tables_dropped=online_tables_dropped,
        other_owner=other_owner,
    )


CLEAN, ALLOWED, BLOCKED = PlanVerdict


@pytest.mark.parametrize(
    ("desired", "fields", "verdict"),
    [
        pytest.param(BASELINE, {}, CLEAN, id="no change is clean"),
        pytest.param(GROWING, {}, CLEAN, id="a new view is clean"),
        pytest.param(BREAKING, {}, BLOCKED, id="dropping a champion's feature is blocked"),
        pytest.param(EMPTY, {}, BLOCKED, id="dropping its view is blocked"),
        pytest.param(CHANGING, {}, ALLOWED, id="another source is allowed by default"),
        pytest.param(
            CHANGING,
            {"block_on": ("Broken", "Changed")},
            BLOCKED,
            id="another source is blocked where Changed blocks",
        ),
        pytest.param(BREAKING, {"protection": "Warn"}, ALLOWED, id="Warn permits it"),
        pytest.param(BREAKING, {"protection": "Off"}, CLEAN, id="Off does not compare"),
        pytest.param(BREAKING, {"guard": None}, CLEAN, id="no guard, no protection"),
        pytest.param(EMPTY, {"prune": False}, CLEAN, id="what is not pruned is not lost"),
        pytest.param(
            BREAKING,
            {"prune": False},
            BLOCKED,
            id="a feature dropped from a view is lost without pruning, too",
        ),
    ],
)
def test_protection(
    desired: RegistrySnapshot, fields: dict[str, Any], verdict: PlanVerdict
) -> None:
    found = plan(request(CHAMPION).model_copy(update=fields), desired)

    assert verdict is found.verdict
    assert found.reason == ("Blocked" if verdict is BLOCKED else "")


@pytest.mark.parametrize(
    ("desired", "fields", "verdict"),
    [
        pytest.param(BREAKING, {}, CLEAN, id="Warn permits a deletion"),
        pytest.param(BREAKING, {"on_unknown": "Block"}, BLOCKED, id="Block stops a deletion"),
        pytest.param(CHANGING, {"on_unknown": "Block"}, BLOCKED, id="Block stops another source"),
        pytest.param(GROWING, {"on_unknown": "Block"}, CLEAN, id="a new object affects no model"),
        pytest.param(RETAGGED, {"on_unknown": "Block"}, CLEAN, id="a tag affects no model"),
        pytest.param(
            BREAKING,
            {"on_unknown": "Block", "protection": "Warn"},
            CLEAN,
            id="under Warn nothing blocks",
        ),
    ],
)
def test_models_whose_features_are_not_known(
    desired: RegistrySnapshot, fields: dict[str, Any], verdict: PlanVerdict
) -> None:
    found = plan(request(unknown=("rider_model/7",), **fields), desired)

    assert verdict is found.verdict
    assert found.unknown_models == ("rider_model/7",)


def test_model_without_a_baseline_is_protected() -> None:
    """As on a registry in use, before any part of it was read."""
    unjudged = replace(CHAMPION, features=(), refs=(FeatureRef("stats", "conv_rate"),))

    found = plan(request(unjudged), BREAKING)

    assert (found.verdict, found.unknown_models) == (BLOCKED, ())


def test_a_message_begins_with_what_blocks() -> None:
    """The source of the champion's feature changes, which blocks only with Changed."""
    asked = request(CHAMPION, unknown=("rider/7",), on_unknown="Block")
    unknown = "the features of 1 protected model version are not known, so it may break rider/7"
    changed = "it would also affect 1 protected model version"

    both = request(
        CHAMPION, unknown=("rider/7",), on_unknown="Block", block_on=("Broken", "Changed")
    )
    assert f"is not applied: {unknown}; {changed}. Change" in explain(plan(asked, CHANGING), "c0")
    assert "is not applied: it would affect 1 protected" in explain(plan(both, CHANGING), "c0")
    assert "is not applied: it would affect 1 protected" in explain(plan(asked, BREAKING), "c0")


def test_with_every_model_known_Block_on_unknown_blocks_nothing() -> None:  # noqa: N802
    assert plan(request(on_unknown="Block"), BREAKING).verdict is CLEAN


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        pytest.param(lambda digest: digest, ALLOWED, id="the whole digest"),
        pytest.param(lambda digest: digest[:12], ALLOWED, id="the 12 digits that are printed"),
        pytest.param(lambda digest: f" {digest[:20].upper()} ", ALLOWED, id="in capitals, padded"),
        pytest.param(lambda digest: digest[:11], BLOCKED, id="too short to be safe"),
        pytest.param(lambda digest: "", BLOCKED, id="nothing"),
        pytest.param(lambda digest: "0" * 12, BLOCKED, id="another plan's"),
        pytest.param(lambda digest: digest + "0", BLOCKED, id="longer than any"),
        pytest.param(lambda digest: digest[:11] + ".", BLOCKED, id="not hexadecimal"),
    ],
)
def test_a_permission_names_its_plan_by(given: Any, verdict: PlanVerdict) -> None:
    blocked = plan(request(CHAMPION), BREAKING)
    override = PlanOverride(plan_digest=given(blocked.digest), why="retrained tonight")

    found = plan(request(CHAMPION, allow_breaking=override), BREAKING)

    assert verdict is found.verdict
    assert found.digest == blocked.digest


def permitted(blocked: Plan) -> PlanOverride:
    return PlanOverride(plan_digest=short(blocked.digest), why="retrained tonight")


@pytest.mark.parametrize(
    ("desired", "fields", "said"),
    [
        pytest.param(
            CHANGING, {}, "apply.protection.blockOn: [Broken] permits the change", id="by default"
        ),
        pytest.param(
            BREAKING,
            {"block_on": ("Changed",)},
            "apply.protection.blockOn: [Changed] permits the change",
            id="blockOn names something else",
        ),
        pytest.param(
            BREAKING,
            {"protection": "Warn", "allow_breaking": "given"},
            "apply.protection.mode: Warn permits the change",
            id="Warn needs no permission",
        ),
        pytest.param(
            BREAKING,
            {"allow_breaking": "given"},
            "featurelineage.io/allow-breaking permits the change: the ranker is retired",
            id="a permission",
        ),
        pytest.param(
            CHANGING,
            {"allow_breaking": "given"},
            "apply.protection.blockOn: [Broken] permits the change",
            id="a permission that was not needed",
        ),
        pytest.param(BREAKING, {}, "", id="blocked"),
        pytest.param(BREAKING, {"protection": "Off"}, "", id="Off does not compare"),
        pytest.param(GROWING, {"protection": "Warn"}, "", id="no impact"),
    ],
)
def test_a_plan_names_what_permits_its_impacts(
    desired: RegistrySnapshot, fields: dict[str, Any], said: str
) -> None:
    asked = request(CHAMPION).model_copy(update={**fields, "allow_breaking": None})
    if "allow_breaking" in fields:
        digest = plan(asked, desired).digest
        given = PlanOverride(plan_digest=digest, why="the ranker is retired.")
        asked = asked.model_copy(update={"allow_breaking": given})

    assert plan(asked, desired).let_through == said


def test_an_adoption_with_impacts_names_its_permission() -> None:
    both = {"adopted": "", "allow_adoption": None, "allow_breaking": None}
    asked = request(CHAMPION).model_copy(update=both)
    given = PlanOverride(plan_digest=plan(asked, EMPTY).digest, why="moved")
    allowed = {"allow_adoption": given, "allow_breaking": given}

    found = plan(asked.model_copy(update=allowed), EMPTY)

    assert found.verdict is ALLOWED
    assert found.let_through == "featurelineage.io/allow-breaking permits the change: moved"


def test_a_permission_is_void_if_another_model_is_affected() -> None:
    override = permitted(plan(request(CHAMPION), BREAKING))
    rider = model(BASELINE, ["stats:conv_rate"], name="rider_model")

    assert plan(request(CHAMPION, rider, allow_breaking=override), BREAKING).verdict is BLOCKED


def test_permission_is_void_after_an_alias_move() -> None:
    override = permitted(plan(request(CHAMPION), BREAKING))
    successor = model(BASELINE, ["stats:conv_rate"], version="4")

    assert plan(request(successor, allow_breaking=override), BREAKING).verdict is BLOCKED


def test_a_permission_is_void_for_any_other_content() -> None:
    override = permitted(plan(request(CHAMPION), BREAKING))
    more = registry({"stats": view({"acc_rate": "FLOAT"}, tags={"team": "x"})})

    assert plan(request(CHAMPION, allow_breaking=override), more).verdict is BLOCKED


def test_a_permission_ignores_models_that_are_not_affected() -> None:
    override = permitted(plan(request(CHAMPION), BREAKING))
    other = model(BASELINE, ["stats:acc_rate"], name="rider_model")

    assert plan(request(CHAMPION, other, allow_breaking=override), BREAKING).verdict is ALLOWED


def test_permission_covers_the_known_unknown_models() -> None:
    asked = request(unknown=("a/1",), on_unknown="Block")
    override = permitted(plan(asked, BREAKING))

    same = request(unknown=("a/1",), on_unknown="Block", allow_breaking=override)
    more = request(unknown=("a/1", "b/1"), on_unknown="Block", allow_breaking=override)

    assert plan(same, BREAKING).verdict is ALLOWED
    assert plan(more, BREAKING).verdict is BLOCKED


def test_new_unknown_model_keeps_the_permission() -> None:
    override = permitted(plan(request(CHAMPION), BREAKING))

    found = plan(request(CHAMPION, unknown=("new/1",), allow_breaking=override), BREAKING)

    assert found.verdict is ALLOWED


@pytest.mark.parametrize(
    ("desired", "fields", "reason", "deletes"),
    [
        pytest.param(GROWING, {}, "", (), id="taking over and adding is fine"),
        pytest.param(
            EMPTY,
            {},
            "AdoptionWouldDelete",
            ("feature_view/stats",),
            id="deleting what others applied is not",
        ),
        pytest.param(
            EMPTY,
            {"protection": "Off"},
            "AdoptionWouldDelete",
            ("feature_view/stats",),
            id="nor is it with protection off",
        ),
        pytest.param(EMPTY, {"prune": False}, "", (), id="without pruning nothing is deleted"),
        pytest.param(
            OTHERS, {"adopted": REGISTRY}, "", (), id="later applies delete what is theirs"
        ),
        pytest.param(
            EMPTY,
            {"adopted": "registry-2"},
            "AdoptionWouldDelete",
            ("feature_view/stats",),
            id="in another registry than before it is others' again",
        ),
        pytest.param(OTHERS, {"adopted": None}, "", (), id="who does not apply adopts nothing"),
        pytest.param(
            EMPTY, {"adopted": REGISTRY}, "RepoEmptied", (), id="an emptied repo deletes nothing"
        ),
        pytest.param(
            EMPTY,
            {"adopted": REGISTRY, "protection": "Off"},
            "RepoEmptied",
            (),
            id="nor does it with protection off",
        ),
        pytest.param(EMPTY, {"adopted": None}, "RepoEmptied", (), id="nor in a plan alone"),
        pytest.param(
            registry(on_demand_feature_view={"stats": view({"conv_rate": "FLOAT"})}),
            {},
            "",
            (),
            id="a view that becomes one of another kind is not deleted",
        ),
    ],
)
def test_adoption(
    desired: RegistrySnapshot, fields: dict[str, Any], reason: str, deletes: tuple[str, ...]
) -> None:
    found = plan(request(**{"adopted": "", **fields}), desired)

    assert reason == found.reason
    assert deletes == found.adoption_deletes


def test_adoption_is_allowed_by_its_own_permission_and_no_other() -> None:
    blocked = plan(request(adopted=""), EMPTY)

    for field, verdict in (("allow_adoption", ALLOWED), ("allow_breaking", BLOCKED)):
        found = plan(request(adopted="", **{field: permitted(blocked)}), EMPTY)

        assert verdict is found.verdict


@pytest.mark.parametrize(
    ("current", "fields", "reason"),
    [
        pytest.param(EMPTY, {}, "RegistryEmpty", id="a registry that is empty is another one"),
        pytest.param(ENTITIES, {}, "RegistryEmpty", id="one without views is as well"),
        pytest.param(EMPTY, {"adopted": REGISTRY}, "RegistryEmpty", id="one that was lost"),
        pytest.param(EMPTY, {"adopted": None}, "RegistryEmpty", id="in a plan alone"),
        pytest.param(EMPTY, {"protection": "Warn"}, "RegistryEmpty", id="in mode Warn"),
        pytest.param(EMPTY, {"protection": "Off"}, "", id="models do not count in mode Off"),
        pytest.param(BASELINE, {}, "", id="one with views is the one"),
    ],
)
@pytest.mark.parametrize("known", [True, False], ids=["known features", "unknown features"])
def test_a_registry_without_views_that_models_name(
    current: RegistrySnapshot, fields: dict[str, Any], reason: str, known: bool
) -> None:
    models = (CHAMPION,) if known else ()
    asked = request(*models, unknown=() if known else ("driver_model/3",), **fields)

    found = plan(asked, GROWING, current)

    assert (found.reason, found.named_by) == (reason, ("driver_model/3",) if reason else ())
    assert found.emptied is (fields.get("adopted") == REGISTRY)
    given = asked.model_copy(update={"allow_adoption": permitted(found)})
    assert plan(given, GROWING, current).verdict is not BLOCKED


@pytest.mark.parametrize("current", [EMPTY, ENTITIES], ids=["empty", "entities"])
@pytest.mark.parametrize("desired", [EMPTY, ENTITIES], ids=["no object", "entities alone"])
def test_a_repo_without_views_fills_no_registry(
    current: RegistrySnapshot, desired: RegistrySnapshot
) -> None:
    found = plan(request(CHAMPION, adopted=REGISTRY), desired, current)

    assert (found.reason, found.named_by, found.emptied) == ("", (), False)


def test_a_new_project_without_models_is_clean() -> None:
    assert plan(request(adopted=""), GROWING, EMPTY).verdict is CLEAN


def test_an_emptied_repo_is_permitted_like_an_adoption() -> None:
    asked = request(adopted=REGISTRY)
    blocked = plan(asked, EMPTY)

    found = plan(asked.model_copy(update={"allow_adoption": permitted(blocked)}), EMPTY)

    assert found.verdict is ALLOWED
    assert (
        found.let_through
        == "featurelineage.io/allow-adoption permits the change: retrained tonight"
    )


@pytest.mark.parametrize("desired", [BASELINE, GROWING, OTHERS], ids=["same", "more", "less"])
def test_a_takeover_is_permitted_from_one_owner(desired: RegistrySnapshot) -> None:
    blocked = plan(request(adopted=REGISTRY), desired, other_owner="theirs")
    asked = request(adopted=REGISTRY, allow_adoption=permitted(blocked))

    assert (blocked.verdict, blocked.reason) == (BLOCKED, "ProjectOwnedByOther")
    assert blocked.adoption_deletes == (("feature_view/stats",) if desired is OTHERS else ())
    assert plan(asked, desired, other_owner="theirs").verdict is ALLOWED
    assert plan(asked, desired, other_owner="another's").verdict is BLOCKED
    assert plan(request(adopted=None), desired, other_owner="theirs").verdict is CLEAN


def test_an_adoption_that_also_breaks_needs_both_permissions() -> None:
    first = plan(request(CHAMPION, adopted=""), EMPTY)
    override = permitted(first)

    half = plan(request(CHAMPION, adopted="", allow_adoption=override), EMPTY)
    both = plan(
        request(CHAMPION, adopted="", allow_adoption=override, allow_breaking=override), EMPTY
    )

    assert [found.reason for found in (first, half, both)] == ["AdoptionWouldDelete", "Blocked", ""]
    assert both.verdict is ALLOWED


@pytest.mark.parametrize(
    ("protection", "minutes", "reason"),
    [
        pytest.param("Enforce", 10, "", id="facts as old as is allowed clear a plan"),
        pytest.param("Enforce", 11, "GuardUnavailable", id="older facts permit nothing"),
        pytest.param("Warn", 11, "", id="under Warn nothing blocks"),
    ],
)
def test_a_guard_is_only_good_while_it_is_fresh(
    protection: str, minutes: float, reason: str
) -> None:
    found = plan(request(CHAMPION, protection=protection), GROWING, minutes_later=minutes)

    assert reason == found.reason


def test_no_permission_covers_facts_that_are_too_old() -> None:
    override = permitted(plan(request(CHAMPION), BREAKING))

    found = plan(request(CHAMPION, allow_breaking=override), BREAKING, minutes_later=11)

    assert (found.verdict, found.reason) == (BLOCKED, "GuardUnavailable")


def test_a_plan_lists_all_changes_and_dropped_tables() -> None:
    found = plan(request(), EMPTY, online_tables_dropped=("z", "stats"))

    assert found.changes == (Change("feature_view", "stats", ChangeClass.DELETED),)
    assert found.online_tables_dropped == ("stats", "z")


def test_request_has_the_closures_of_the_applied_snapshot() -> None:
    function = {"name": "f", "body_text": "f(x)"}
    spec = {**view({"conv_rate": "FLOAT"}), "user_defined_function": function}
    applied = registry({"stats": spec}, closures={"stats": "a" * 64})
    desired = registry({"stats": spec}, closures={"stats": "b" * 64})
    in_registry = registry({"stats": spec})
    asked = request(model(applied, ["stats:conv_rate"]), closures={"stats": "a" * 64})

    found = plan(asked, desired, in_registry)

    assert [change.change for change in found.changes] == [ChangeClass.TRANSFORMATION_CHANGED]
    assert found.verdict is ALLOWED
    assert found.digest != plan(asked, in_registry, in_registry).digest


def test_unpruned_keeps_removed_objects() -> None:
    current = registry(
        {"stats": view({"conv_rate": "FLOAT"}), "old": view({"x": "FLOAT"})},
        closures={"old": "a" * 64, "stats": "b" * 64},
    )
    desired = registry({"stats": view({"acc_rate": "FLOAT"})}, services={"s": service({})})

    kept = unpruned(current, desired)

    assert kept.objects == {
        "feature_view": {
            "stats": desired.objects["feature_view"]["stats"],
            "old": current.objects["feature_view"]["old"],
        },
        "feature_service": {"s": service({})},
    }
    assert kept.closures == {"old": "a" * 64}


def test_what_is_printed_is_enough_to_type() -> None:
    digest = plan(request(), BREAKING).digest

    assert len(short(digest)) == 12
    assert names_plan(short(digest), digest)
