"""Faults behind correct definitions: the probe sees each in the status, a metric and an alert."""

import asyncio
from dataclasses import dataclass, replace

import pandas as pd
import pytest
from tests.cluster.host.polling import condition, says, until
from tests.e2e.conftest import CreateTenant
from tests.e2e.environment import E2eEnvironment
from tests.e2e.project_fixture import Holds, both
from tests.e2e.prometheus_queries import samples, until_prometheus_says
from tests.e2e.tenant import Tenant
from tests.local.scene import backfill

from feature_lineage.kube.api_client import Object
from feature_lineage.kube.kinds import MODELS

HEAD = """\
from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float32, Int64

driver = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)
captain = Entity(name="captain", join_keys=["driver_id"], value_type=ValueType.INT64)
source = FileSource(
    name="driver_stats", path="data/stats.parquet", timestamp_field="event_timestamp",
    created_timestamp_column="created",
)
"""
VIEW = """
{name} = FeatureView(
    name="{name}", entities=[{entity}], ttl=timedelta(days=365), source=source,
    owner="{name}@example.com",
    schema=[Field(name="acc_rate", dtype=Float32), Field(name="trips", dtype=Int64)],
)
"""
SERVICE = """
{name}_v1 = FeatureService(name="{name}_v1", features=[{name}])
"""
ON_DEMAND = """
@on_demand_feature_view(
    sources=[healthy], schema=[Field(name="doubled", dtype=Int64)], mode="pandas"
)
def computed(frame):
    import pandas

    result = pandas.DataFrame()
    result["doubled"] = (frame["trips"] * 2).astype("Int64")
    return result

healthy_v1 = FeatureService(name="healthy_v1", features=[healthy, computed])
"""


@dataclass(frozen=True)
class Fault:
    """What happens to a view.

    Attributes:
        name: of the view, and part of the names of its service and model.
        reason: of condition Serving.
        alert: what fires.
        edit: change of the repo that plain `feast apply` applies.
        statement: change of the online store.
    """

    name: str
    reason: str
    alert: str
    edit: str = ""
    statement: str = ""

    @property
    def entity(self) -> str:
        return "captain" if self.name == "orphaned" else "driver"


INLINE = 'Entity(name="captain", join_keys=["driver_id"], value_type=ValueType.INT64)'
OVERWRITE = """
UPDATE {table} SET value = (
    SELECT value FROM {table} WHERE feature_name = 'trips' ORDER BY value DESC LIMIT 1
) WHERE feature_name = 'trips' AND entity_key = (
    SELECT entity_key FROM {table} WHERE feature_name = 'trips' ORDER BY value LIMIT 1
)
"""
"""One driver has the trips of another."""
FAULTS = (
    Fault("emptied", "NotServed", "ModelFeaturesNotServed", statement="DELETE FROM {table}"),
    Fault(
        "nulled",
        "MostlyNull",
        "ModelFeaturesMostlyNull",
        statement="UPDATE {table} SET value = ''::bytea WHERE feature_name = 'trips'",
    ),
    Fault(
        "disabled",
        "ServingFails",
        "ModelServingFails",
        edit='s/name="disabled",/& enabled=False,/',
    ),
    Fault(
        "orphaned",
        "ServingFails",
        "ModelServingFails",
        edit=f"s/entities=.captain./entities=[{INLINE}]/; s/^captain = .*//",
    ),
    Fault("overwritten", "Skewed", "ModelFeaturesSkewed", statement=OVERWRITE),
)
NULLED, OVERWRITTEN, HEALTHY = FAULTS[1], FAULTS[-1], Fault("healthy", "Succeeded", "")
REPO = (
    HEAD
    + "".join(VIEW.format(name=each.name, entity=each.entity) for each in (*FAULTS, HEALTHY))
    + "".join(SERVICE.format(name=each.name) for each in FAULTS)
    + ON_DEMAND
)


@pytest.mark.slow
@pytest.mark.timeout(1200)
async def test_what_the_online_store_does_is_seen(
    create_tenant: CreateTenant, environment: E2eEnvironment
) -> None:
    tenant = create_tenant("probed")
    tenant.commit(REPO)
    sparse_and_late(tenant)
    tenant.commit(REPO)
    await tenant.create_project(backfills=[backfill()], probe={"interval": "1m"})
    models = (*FAULTS, HEALTHY)
    await tenant.until(filled)
    pairs = " ".join(f"{each.name}_v1 {model_of(tenant, each)}" for each in models)
    await asyncio.to_thread(tenant.run, "train", f"python /scripts/trainer.py {pairs}")
    for each in models:
        await create_model(tenant, each)

    # All is well: the models are served, and nothing fires.
    for each in models:
        await until_model(tenant, each, both(says("Serving", "True"), says("Ready", "True")))
    assert await samples(environment, firing(tenant)) == []

    for fault in FAULTS:
        if fault.statement:
            table = f'"{tenant.project}_{fault.name}"'
            environment.execute(tenant.project, fault.statement.format(table=table))
    edits = "; ".join(fault.edit for fault in FAULTS if fault.edit)
    command = f"sed -i '{edits}' features.py && feast apply"
    await asyncio.to_thread(tenant.run, "by-hand", command)
    # Probes of the interval read no source; one that is asked for compares.
    await tenant.request_reconcile()

    for fault in FAULTS:
        await until_model(tenant, fault, says("Serving", "False", fault.reason))
        await until_prometheus_says(
            environment, series(tenant, fault, "feature_lineage_model_serving"), lambda v: v == 0
        )
        await until_fires(environment, tenant, fault)
    ratios = series(tenant, NULLED, "feature_lineage_model_null_ratio")
    nulls = f'{ratios[:-1]},feature="nulled__trips"}}'
    await until_prometheus_says(environment, nulls, lambda ratio: ratio == 1)
    ratios = series(tenant, OVERWRITTEN, "feature_lineage_model_skew_ratio")
    skew = f'{ratios[:-1]},feature="overwritten__trips"}}'
    await until_prometheus_says(environment, skew, lambda ratio: ratio == 0.2)
    served = await until_model(tenant, HEALTHY, says("Serving", "True"))
    assert served["status"]["serving"]["keys"] == 5
    assert await fired(environment, tenant, HEALTHY) == []

    # A job that the kernel kills says nothing of the store, and somebody has to hear of it.
    await tenant.change(runtime={"retries": 0, "resources": {"limits": {"memory": "24Mi"}}})
    await tenant.request_reconcile()
    found = await until_model(tenant, HEALTHY, says("Serving", "Unknown", "ProbeUnavailable"))
    assert "out of memory" in condition(found, "Serving")["message"]
    await until_fires(environment, tenant, replace(HEALTHY, alert="ModelProbeUnavailable"))


def sparse_and_late(tenant: Tenant) -> None:
    """Most values of a feature are null, and half of the rows came a day late."""
    tree = tenant.environment.git.folder / f"{tenant.project}.tree"
    path = tree / "feature_repo" / "data" / "stats.parquet"
    rows = pd.read_parquet(path)
    rows.loc[rows.index % 5 > 0, "acc_rate"] = None
    rows.loc[rows.index % 2 > 0, "created"] += pd.Timedelta(days=1)
    rows.to_parquet(path)


def model_of(tenant: Tenant, fault: Fault) -> str:
    return f"{tenant.model}_{fault.name}"


async def create_model(tenant: Tenant, fault: Fault) -> None:
    spec = {
        "projectRef": {"name": tenant.name},
        "model": {"name": model_of(tenant, fault), "alias": "champion"},
    }
    metadata = {
        "name": fault.name,
        "namespace": tenant.namespace,
        "annotations": {"featurelineage.io/model-owner": "rankers"},
    }
    body = {"apiVersion": MODELS.api_version, "kind": MODELS.kind, "metadata": metadata}
    await tenant.admin.create(MODELS, tenant.namespace, {**body, "spec": spec})


async def until_model(tenant: Tenant, fault: Fault, holds: Holds) -> Object:
    return await until(tenant.admin, MODELS, tenant.namespace, fault.name, holds, 240)


def series(tenant: Tenant, fault: Fault, name: str) -> str:
    return f'{name}{{namespace="{tenant.namespace}",name="{fault.name}"}}'


async def fired(environment: E2eEnvironment, tenant: Tenant, fault: Fault) -> list[dict[str, str]]:
    """The alerts about a model that fire now, as labels."""
    alerts = series(tenant, fault, "ALERTS")[:-1] + ',alertstate="firing"}'
    return [each["metric"] for each in await samples(environment, alerts)]


async def until_fires(environment: E2eEnvironment, tenant: Tenant, fault: Fault) -> None:
    """Wait for the alert; it says whom it is for."""
    query = (
        series(tenant, fault, "ALERTS")[:-1] + f',alertstate="firing",alertname="{fault.alert}"}}'
    )
    await until_prometheus_says(environment, query, lambda value: value == 1)
    (found,) = await samples(environment, query)
    owners = found["metric"]["model_owner"], found["metric"]["view_owners"]
    assert owners == ("rankers", f"{fault.name}@example.com")


def firing(tenant: Tenant) -> str:
    """The alerts that fired in the last hour."""
    return f'count_over_time(ALERTS{{alertstate="firing",namespace="{tenant.namespace}"}}[1h])'


def filled(body: Object | None) -> bool:
    """Whether the backfill has written all views."""
    backfills = (body or {}).get("status", {}).get("backfills", ())
    return [each["state"] for each in backfills] == ["Succeeded"]
