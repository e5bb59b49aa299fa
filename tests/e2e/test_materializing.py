"""Materializations in pods with memory limits: many rows, and a view that takes all memory."""

from typing import Any

import pytest
from tests.cluster.host.polling import condition
from tests.e2e.conftest import CreateTenant
from tests.e2e.project_fixture import Holds
from tests.e2e.tenant import VIEW
from tests.local.scene import FEATURES, backfill

from feature_lineage.kube.api_client import Object

ROWS = 600_000
VIEW_OF_A_FUNCTION = """
from feast import BatchFeatureView

def made(frame):
{body}

{name} = BatchFeatureView(
    name="{name}", entities=[driver], ttl=timedelta(days=365), mode="pandas", udf=made,
    udf_string="made", online=True, source=source,
    schema=[Field(name=name, dtype=Float32) for name in ("conv_rate", "acc_rate")],
)
"""
MANY_ROWS = f"""
    import numpy as np
    import pandas as pd
    numbers = np.arange({ROWS})
    made = {{column: frame[column].iloc[0] for column in frame.columns}}
    values = {{name: numbers.astype("float32") for name in ("conv_rate", "acc_rate")}}
    return pd.DataFrame({{**made, **values, "driver_id": numbers}})
"""
ALL_MEMORY = """
    hoard = []
    while True:
        hoard.append(bytearray(b"x" * 2**24))
"""


def _view(name: str, **fields: Any) -> Holds:
    """Whether the status of a view has these values."""

    def holds(body: Object | None) -> bool:
        shown = ((body or {}).get("status") or {}).get("featureViews") or ()
        found = next((view for view in shown if view["name"] == name), {})
        return all(found.get(field) == value for field, value in fields.items())

    return holds


@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_600_000_rows_pass_in_the_default_pod(create_tenant: CreateTenant) -> None:
    tenant = create_tenant("many")
    tenant.commit(FEATURES + VIEW_OF_A_FUNCTION.format(name="many", body=MANY_ROWS))
    await tenant.create_project(backfills=[backfill()])

    project = await tenant.until(_view("many", lastResult="Succeeded", rows=ROWS), seconds=1500)

    messages = [each.get("message", "") for each in project["status"]["operations"]]
    assert any(
        "rows, for a memory limit of 2048 MiB and views of up to" in text for text in messages
    )


@pytest.mark.timeout(900)
async def test_a_view_that_takes_all_memory_is_skipped(create_tenant: CreateTenant) -> None:
    tenant = create_tenant("hoarder")
    tenant.commit(FEATURES + VIEW_OF_A_FUNCTION.format(name="all_of_it", body=ALL_MEMORY))
    limited = {"resources": {"limits": {"memory": "512Mi"}}, "retries": 3}
    await tenant.create_project(backfills=[backfill()], runtime=limited)

    project = await tenant.until(_view("all_of_it", lastResult="Failed", killedJobs=2), seconds=600)

    assert _view(VIEW, lastResult="Succeeded")(project), "the view after it was materialized"
    (failing,) = [view for view in project["status"]["featureViews"] if view["name"] == "all_of_it"]
    assert "ran out of memory" in failing["lastError"]
    assert condition(project, "Materialized")["reason"] == "ViewsFailing"
    assert "all_of_it: " in condition(project, "Materialized")["message"]
    skipped = await tenant.until(_is_skipped, seconds=300)
    assert _view("all_of_it", killedJobs=2)(skipped), "no further job died"


def _is_skipped(body: Object | None) -> bool:
    shown = ((body or {}).get("status") or {}).get("featureViews") or ()
    return any(view.get("lastError", "").startswith("skipped: ") for view in shown)
