"""The scenario of the task pages: one project, its champion, and a breaking commit.

The code of the operator computes it, so the pages quote real messages.
"""

from typing import Final

from tests.unit.decide.build import MLFLOW, ProjectScenario
from tests.unit.operations.build import NOW, model, registry, request, service, view

from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.operations.explain import explain
from feature_lineage.operations.plan import Plan
from feature_lineage.operations.plan_checks import make_plan
from feature_lineage.operations.protocol import PlanOverride

IN_EFFECT: Final = "4c0e6a9fb0b7d1a1f4c2b5d9a37e8c6f1d2b3a45"
BREAKING: Final = "9d41f0c2e7b85a6d3f10c4b8e2a97d5f6c3b1e08"
WHY: Final = "the ranker is retired, RANK-12"
_COLUMNS: Final = {"conv_rate": "FLOAT", "trips": "INT64"}


def _registry(*, trips: bool) -> RegistrySnapshot:
    used = {name: dtype for name, dtype in _COLUMNS.items() if trips or name != "trips"}
    return registry(
        {"driver_hourly_stats": view({**used, "acc_rate": "FLOAT"})},
        services={"driver_activity_v1": service({"driver_hourly_stats": used})},
    )


BEFORE: Final = _registry(trips=True)
AFTER: Final = _registry(trips=False)
CHAMPION: Final = model(
    BEFORE,
    ["driver_hourly_stats:conv_rate", "driver_hourly_stats:trips"],
    service="driver_activity_v1",
)


def plan_of(
    current: RegistrySnapshot = BEFORE,
    desired: RegistrySnapshot = AFTER,
    *,
    unknown: tuple[str, ...] = (),
    allowed: str = "",
    **policy: str,
) -> Plan:
    """The plan of a commit.

    Args:
        unknown: protected versions without known features.
        allowed: digest of the plan that a user permits.
        policy: fields of the request, such as ``protection="Warn"``.
    """
    permission = PlanOverride(plan_digest=allowed, why=WHY) if allowed else None
    models = () if unknown else (CHAMPION,)
    return make_plan(
        current=current,
        desired=desired,
        request=request(*models, unknown=unknown, allow_breaking=permission, **policy),
        now=NOW,
        registry_id="registry-1",
        online_tables_dropped=(),
    )


def message(plan: Plan, *, permitted: str = "") -> str:
    """The message of condition and Event for a blocked plan."""
    return explain(plan, BREAKING, overrides=(permitted,))


def in_effect(**spec: object) -> ProjectScenario:
    """The project after an apply, without work to do."""
    scenario = ProjectScenario(mlflow=MLFLOW, **spec).apply(IN_EFFECT)
    scenario.rest()
    return scenario


def blocked() -> ProjectScenario:
    """The project after the breaking commit was pushed, planned and blocked."""
    scenario = in_effect()
    scenario.push(BREAKING)
    scenario.reconcile()
    plan = plan_of()
    scenario.end("Blocked", reason=plan.reason, message=message(plan), plan=plan, snapshot=BEFORE)
    scenario.rest()
    return scenario
