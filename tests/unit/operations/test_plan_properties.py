"""Properties of every plan, for any registries and any protected models."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.operations.build import NOW, registry, request, service, view

from feature_lineage.features.definitions import FeatureDefinition, define_all, look_up
from feature_lineage.features.refs import FeatureRef
from feature_lineage.features.snapshot import VIEW_KINDS, RegistrySnapshot
from feature_lineage.models.verdicts import BREAKING
from feature_lineage.operations.impacts import impacts
from feature_lineage.operations.plan import Plan, PlanVerdict, plan_digest, unpruned
from feature_lineage.operations.plan_checks import make_plan
from feature_lineage.operations.protection import GuardedModel

VIEWS = ("stats", "orders", "drivers")
FEATURES = ("a", "b", "c")
REFS = [FeatureRef(name, feature) for name in VIEWS for feature in FEATURES]

# Built once, because Hypothesis analyses each new strategy again.
columns = st.dictionaries(
    st.sampled_from(FEATURES), st.sampled_from(["FLOAT", "INT64"]), max_size=3
)
view_names = st.sampled_from(VIEWS)
views = st.builds(
    view,
    columns,
    join_key=st.sampled_from(["driver_id", "rider_id"]),
    source=st.sampled_from(["x", "y"]),
    ttl=st.sampled_from(["", "60s"]),
    tags=st.sampled_from([{}, {"team": "t"}]),
)
services = st.dictionaries(view_names, columns).map(
    lambda members: {"svc": service(members)} if members else {}
)
# Few names and few values, so that two of them often meet and differ somewhere.
registries = st.builds(
    registry,
    st.dictionaries(view_names, views),
    services=services,
    closures=st.dictionaries(view_names, st.sampled_from(["1" * 64, "2" * 64])),
)


def _guarded(
    baseline: RegistrySnapshot, refs: list[FeatureRef], served: str, *, recorded: bool
) -> GuardedModel:
    definitions = define_all(baseline, refs, served)
    used = tuple(refs) if recorded else ()
    return GuardedModel("m", "1", ("champion",), served, definitions, used)


def _named_apart(models: list[GuardedModel]) -> tuple[GuardedModel, ...]:
    return tuple(replace(model, model=f"m{number}") for number, model in enumerate(models))


feature_refs = st.lists(st.sampled_from(REFS), unique=True)
guarded_models = st.lists(
    st.builds(
        _guarded, registries, feature_refs, st.sampled_from(["", "svc"]), recorded=st.booleans()
    ),
    max_size=3,
).map(_named_apart)


def plan_of(
    current: RegistrySnapshot, desired: RegistrySnapshot, *models: GuardedModel, **fields: Any
) -> Plan:
    return make_plan(
        current=current,
        desired=desired,
        request=request(*models, **fields),
        now=NOW,
        registry_id="registry-1",
        online_tables_dropped=(),
    )


def defined(snapshot: RegistrySnapshot, ref: FeatureRef) -> bool:
    return isinstance(look_up(snapshot, ref), FeatureDefinition)


def same(one: FeatureDefinition, other: FeatureDefinition) -> bool:
    return (one.dtype, one.join_keys) == (other.dtype, other.join_keys)


@given(registries, registries, guarded_models, st.booleans())
def test_unblocked_plan_keeps_protected_features(
    current: RegistrySnapshot,
    desired: RegistrySnapshot,
    models: tuple[GuardedModel, ...],
    prune: bool,
) -> None:
    plan = plan_of(current, desired, *models, prune=prune)
    after = desired if prune else unpruned(current, desired)

    if plan.verdict is not PlanVerdict.BLOCKED:
        for model in models:
            known = {was.ref for was in model.features}
            for ref in set(model.refs) - known:
                assert not defined(current, ref) or defined(after, ref)
            for was in model.features:
                # Computed from the registry itself, not by the comparison that protection uses.
                now = look_up(current, was.ref)
                if isinstance(now, FeatureDefinition) and same(now, was):
                    then = look_up(after, was.ref)
                    assert isinstance(then, FeatureDefinition)
                    assert same(then, was)


@given(registries, guarded_models)
def test_a_plan_that_changes_nothing_is_clean(
    current: RegistrySnapshot, models: tuple[GuardedModel, ...]
) -> None:
    plan = plan_of(current, current, *models, adopted="", block_on=("Broken", "Changed"))

    assert plan.verdict is PlanVerdict.CLEAN
    assert plan.changes == ()


@given(registries, registries, feature_refs)
def test_going_back_to_the_baseline_affects_no_model(
    baseline: RegistrySnapshot, current: RegistrySnapshot, refs: list[FeatureRef]
) -> None:
    model = GuardedModel("m", "1", ("champion",), "", define_all(baseline, refs))

    assert impacts([model], current, baseline) == ()


@given(registries, registries, guarded_models, guarded_models)
def test_one_more_protected_model_hides_no_impact_on_the_others(
    current: RegistrySnapshot,
    desired: RegistrySnapshot,
    some: tuple[GuardedModel, ...],
    more: tuple[GuardedModel, ...],
) -> None:
    assert set(impacts(some, current, desired)) <= set(impacts(some + more, current, desired))


@given(registries, registries, guarded_models, st.sampled_from(VIEWS))
def test_dropping_one_more_view_improves_no_model(
    current: RegistrySnapshot,
    desired: RegistrySnapshot,
    models: tuple[GuardedModel, ...],
    dropped: str,
) -> None:
    less = RegistrySnapshot(
        desired.project,
        {
            kind: {
                name: spec
                for name, spec in named.items()
                if not (kind in VIEW_KINDS and name == dropped)
            }
            for kind, named in desired.objects.items()
        },
        desired.closures,
    )

    def broken(after: RegistrySnapshot) -> set[str]:
        return {
            impact.model
            for impact in impacts(models, current, after)
            if any(problem.kind in BREAKING for problem in impact.problems)
        }

    assert broken(desired) <= broken(less)


@given(registries, registries, guarded_models, st.randoms())
def test_the_digest_depends_on_no_order(
    current: RegistrySnapshot, desired: RegistrySnapshot, models: tuple[GuardedModel, ...], random
) -> None:
    def shuffled(snapshot: RegistrySnapshot) -> RegistrySnapshot:
        def mixed(named: Any) -> Any:
            items = list(named.items())
            random.shuffle(items)
            return dict(items)

        objects = {kind: mixed(named) for kind, named in mixed(snapshot.objects).items()}
        return RegistrySnapshot(snapshot.project, objects, mixed(snapshot.closures))

    other_models = list(models)
    random.shuffle(other_models)

    assert plan_of(current, desired, *models) == plan_of(
        shuffled(current), shuffled(desired), *other_models
    )


@given(registries, registries, registries)
def test_plans_with_other_content_have_other_digests(
    current: RegistrySnapshot, one: RegistrySnapshot, other: RegistrySnapshot
) -> None:
    same_content = one.objects == other.objects

    same_digest = plan_digest(current, one, ()) == plan_digest(current, other, ())

    if same_digest:
        assert same_content
    if same_content and one.closures == other.closures:
        assert same_digest


@given(registries, registries)
def test_unpruned_deletes_nothing_and_keeps_all_that_is_wanted(
    current: RegistrySnapshot, desired: RegistrySnapshot
) -> None:
    kept = unpruned(current, desired)

    for kind, named in desired.objects.items():
        assert dict(named).items() <= dict(kept.objects[kind]).items()
    for kind, named in current.objects.items():
        assert set(named) <= set(kept.objects[kind])
