"""The models that a plan affects: only problems that the plan causes count."""

from dataclasses import replace

import pytest
from tests.unit.operations.build import model, registry, service, view

from feature_lineage.features.refs import FeatureRef
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.models.verdicts import ProblemKind
from feature_lineage.operations.impacts import blocking, impacts
from feature_lineage.operations.protection import GuardedModel

BOTH = {"conv_rate": "FLOAT", "acc_rate": "FLOAT"}
SERVICES = {"activity": service({"stats": BOTH})}
BASELINE = registry({"stats": view(BOTH)}, services=SERVICES)


def stats(features: dict[str, str] | None = None, **options: str) -> RegistrySnapshot:
    features = BOTH if features is None else features
    return registry({"stats": view(features, **options)}, services=SERVICES)


NO_VIEW = registry(services=SERVICES)
NO_SERVICE = registry({"stats": view(BOTH)})
WITHOUT_CONV_RATE = stats({"acc_rate": "FLOAT"})
CONV_RATE_AS_TEXT = stats({"conv_rate": "STRING", "acc_rate": "FLOAT"})
CONV_RATE_AS_NUMBER = stats({"conv_rate": "INT64", "acc_rate": "FLOAT"})
PARTIAL_SERVICE = registry(
    {"stats": view(BOTH)}, services={"activity": service({"stats": {"acc_rate": "FLOAT"}})}
)


@pytest.mark.parametrize(
    ("current", "desired", "expected"),
    [
        pytest.param(BASELINE, BASELINE, [], id="nothing changes"),
        pytest.param(
            BASELINE,
            WITHOUT_CONV_RATE,
            [ProblemKind.FEATURE_GONE],
            id="a feature is dropped",
        ),
        pytest.param(BASELINE, NO_VIEW, [ProblemKind.VIEW_GONE] * 2, id="the view is dropped"),
        pytest.param(BASELINE, NO_SERVICE, [ProblemKind.SERVICE_GONE], id="the service is dropped"),
        pytest.param(BASELINE, CONV_RATE_AS_TEXT, [ProblemKind.TYPE_CHANGED], id="a type changes"),
        pytest.param(
            BASELINE,
            stats(join_key="rider_id"),
            [ProblemKind.JOIN_KEYS_CHANGED] * 2,
            id="the join key changes",
        ),
        pytest.param(
            BASELINE, stats(ttl="3600s"), [ProblemKind.TTL_CHANGED] * 2, id="the TTL changes"
        ),
        pytest.param(
            BASELINE,
            stats({**BOTH, "trips": "INT64"}),
            [],
            id="one more feature affects no model",
        ),
        pytest.param(
            WITHOUT_CONV_RATE,
            WITHOUT_CONV_RATE,
            [],
            id="what is gone already is not this plan's doing",
        ),
        pytest.param(WITHOUT_CONV_RATE, BASELINE, [], id="going back to the baseline heals"),
        pytest.param(
            stats({"acc_rate": "STRING"}),
            WITHOUT_CONV_RATE,
            [],
            id="mending one problem and leaving another is no harm",
        ),
        pytest.param(
            WITHOUT_CONV_RATE,
            stats({}),
            [ProblemKind.FEATURE_GONE],
            id="dropping another feature of a broken model is harm",
        ),
        pytest.param(
            CONV_RATE_AS_TEXT,
            WITHOUT_CONV_RATE,
            [ProblemKind.FEATURE_GONE],
            id="from another type to gone is worse",
        ),
        pytest.param(
            CONV_RATE_AS_TEXT,
            CONV_RATE_AS_NUMBER,
            [ProblemKind.TYPE_CHANGED],
            id="from one wrong type to another is another problem",
        ),
        pytest.param(
            WITHOUT_CONV_RATE,
            CONV_RATE_AS_TEXT,
            [],
            id="a feature that comes back with another type was gone before",
        ),
        pytest.param(
            NO_VIEW, WITHOUT_CONV_RATE, [], id="a view that comes back without a feature heals"
        ),
        pytest.param(
            NO_SERVICE,
            PARTIAL_SERVICE,
            [],
            id="a service that comes back without a feature heals",
        ),
        pytest.param(
            PARTIAL_SERVICE,
            registry(services=PARTIAL_SERVICE.objects["feature_service"]),
            [ProblemKind.VIEW_GONE] * 2,
            id="a feature that left the service is needed to bring it back",
        ),
        pytest.param(
            BASELINE,
            PARTIAL_SERVICE,
            [ProblemKind.FEATURE_GONE],
            id="a service that loses a feature is harm",
        ),
        pytest.param(
            NO_SERVICE,
            registry(),
            [ProblemKind.VIEW_GONE] * 2,
            id="losing the view too, after the service, is worse",
        ),
        pytest.param(
            NO_SERVICE,
            registry({"stats": view(BOTH, join_key="rider_id")}),
            [ProblemKind.JOIN_KEYS_CHANGED] * 2,
            id="so are other join keys after the service is gone",
        ),
    ],
)
def test_what_a_model_suffers(
    current: RegistrySnapshot, desired: RegistrySnapshot, expected: list[ProblemKind]
) -> None:
    champion = model(BASELINE, ["stats:conv_rate", "stats:acc_rate"], service="activity")

    found = impacts([champion], current, desired)

    assert expected == [problem.kind for impact in found for problem in impact.problems]


def unjudged(*refs: str, service: str = "") -> GuardedModel:
    """A version with known features, and no definitions of them."""
    parsed = tuple(FeatureRef.parse(ref) for ref in refs)
    return GuardedModel("driver_model", "3", ("champion",), service, (), parsed)


@pytest.mark.parametrize(
    ("refs", "service", "desired", "expected"),
    [
        pytest.param(
            ["stats:conv_rate"], "", WITHOUT_CONV_RATE, [ProblemKind.FEATURE_GONE], id="dropped"
        ),
        pytest.param(
            ["stats:conv_rate"], "", CONV_RATE_AS_TEXT, [ProblemKind.TYPE_CHANGED], id="retyped"
        ),
        pytest.param(["stats:acc_rate"], "", WITHOUT_CONV_RATE, [], id="another one is dropped"),
        pytest.param(
            ["stats:never", "gone:too"],
            "",
            WITHOUT_CONV_RATE,
            [],
            id="features that were never defined",
        ),
        pytest.param(
            ["stats:never", "stats:conv_rate"],
            "",
            WITHOUT_CONV_RATE,
            [ProblemKind.FEATURE_GONE],
            id="an undefined one hides no other",
        ),
        pytest.param(
            ["stats:conv_rate"],
            "activity",
            PARTIAL_SERVICE,
            [ProblemKind.FEATURE_GONE],
            id="leaves the service",
        ),
    ],
)
def test_model_without_baseline_uses_the_current_registry(
    refs: list[str], service: str, desired: RegistrySnapshot, expected: list[ProblemKind]
) -> None:
    found = impacts([unjudged(*refs, service=service)], BASELINE, desired)

    assert expected == [problem.kind for impact in found for problem in impact.problems]


def test_a_feature_that_came_after_the_baseline_is_guarded() -> None:
    older = model(WITHOUT_CONV_RATE, ["stats:acc_rate"])
    refs = (*(item.ref for item in older.features), FeatureRef("stats", "conv_rate"))

    (impact,) = impacts([replace(older, refs=refs)], BASELINE, WITHOUT_CONV_RATE)

    assert [(p.feature, p.kind) for p in impact.problems] == [
        ("stats:conv_rate", ProblemKind.FEATURE_GONE)
    ]


def test_an_alias_of_a_service_is_no_way_around_protection() -> None:
    aliased = service({"stats": BOTH})
    aliased["features"][0]["feature_view_name_alias"] = "driver"
    services = {"activity": aliased}
    current = registry({"stats": view(BOTH)}, services=services)
    champion = unjudged("driver:conv_rate", "driver:acc_rate", service="activity")

    (impact,) = impacts([champion], current, registry(services=services))

    assert {problem.kind for problem in impact.problems} == {ProblemKind.VIEW_GONE}


def test_changed_closure_counts_if_both_are_known() -> None:
    transformed = {**view(BOTH), "user_defined_function": {"name": "f", "body_text": "f(x)"}}
    known, other, unknown = (
        registry({"stats": transformed}, closures=closures)
        for closures in ({"stats": "a" * 64}, {"stats": "b" * 64}, {})
    )
    champion = model(known, ["stats:conv_rate"])

    (impact,) = impacts([champion], known, other)

    assert [problem.kind for problem in impact.problems] == [ProblemKind.TRANSFORMATION_CHANGED]
    assert impacts([champion], known, unknown) == ()


def test_impacted_models_are_sorted() -> None:
    models = [
        model(BASELINE, ["stats:conv_rate"], name="z"),
        model(BASELINE, ["stats:acc_rate"], name="untouched"),
        model(BASELINE, ["stats:conv_rate"], name="a", version="9", aliases=("prod", "champion")),
    ]

    found = impacts(models, BASELINE, WITHOUT_CONV_RATE)

    assert [(impact.model, impact.version, impact.aliases) for impact in found] == [
        ("a", "9", ("champion", "prod")),
        ("z", "3", ("champion",)),
    ]


@pytest.mark.parametrize(
    ("desired", "block_on", "blocks"),
    [
        pytest.param(WITHOUT_CONV_RATE, ("Broken",), True, id="broken blocks on Broken"),
        pytest.param(stats(ttl="1s"), ("Broken",), False, id="changed does not block on Broken"),
        pytest.param(stats(ttl="1s"), ("Broken", "Changed"), True, id="changed blocks on both"),
        pytest.param(WITHOUT_CONV_RATE, (), False, id="nothing blocks on nothing"),
    ],
)
def test_what_blocks(desired: RegistrySnapshot, block_on: tuple[str, ...], blocks: bool) -> None:
    found = impacts([model(BASELINE, ["stats:conv_rate"])], BASELINE, desired)

    assert found
    assert blocks is bool(blocking(found, block_on))
