"""A missing package or extra is named, and an image of docs/images.md contains it."""

import asyncio
from typing import Any

import pytest
import yaml
from tests.cluster.host.polling import condition, says
from tests.e2e.conftest import CreateTenant
from tests.e2e.environment import E2eEnvironment
from tests.e2e.images import images
from tests.e2e.own_image import EXTRA, PACKAGE
from tests.e2e.project_fixture import both, recorded, state
from tests.e2e.tenant import Tenant, secret
from tests.local.scene import FEATURES

DISTANCE = f"""
import pandas as pd
from feast import RequestSource
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float64
from {PACKAGE} import haversine_vector

ends = RequestSource(
    name="ends",
    schema=[Field(name=name, dtype=Float64) for name in ("lat_a", "lon_a", "lat_b", "lon_b")],
)


@on_demand_feature_view(
    sources=[ends], schema=[Field(name="kilometres", dtype=Float64)], mode="pandas"
)
def ride(asked: pd.DataFrame) -> pd.DataFrame:
    a, b = asked[["lat_a", "lon_a"]].to_numpy(), asked[["lat_b", "lon_b"]].to_numpy()
    return pd.DataFrame({{"kilometres": haversine_vector(a, b, normalize=True)}})
"""
REDIS = {"type": EXTRA, "connection_string": "redis.data.svc.cluster.local:6379"}
"""There is no such server: the first apply of a view does not contact it."""


@pytest.fixture(scope="module")
def image(environment: E2eEnvironment) -> str:
    """The image of the repository, on the node."""
    with environment.timed("a repository's image"):
        environment.node.load(images().own.archive)
    return images().own.reference


async def until_rejected(tenant: Tenant, message: str, **store: Any) -> None:
    """Projects on the unchanged runner with one repo, whose `store` sections differ."""
    tenant.commit(FEATURES + DISTANCE)
    text = yaml.safe_dump({**tenant.store(), **store})
    tenant.apply(secret("feature-store", **{"feature_store.yaml": text}))
    await tenant.create_project()
    project = await tenant.until(both(recorded(1), says("Applied", "False", "InvalidRepo")))
    assert message in condition(project, "Applied")["message"]
    assert state(project, "Stalled") == ("True", "InvalidRepo")


async def test_an_image_with_the_missing_packages_is_applied(
    create_tenant: CreateTenant, image: str
) -> None:
    there = "to this machine, or to the runner image (spec.runtime.image)"
    module = f"there is no module named {PACKAGE!r}: add {PACKAGE!r} {there}"
    extra = f"it needs the package {EXTRA!r} (Feast's extra {EXTRA!r}): add it {there}"
    travel, cached = create_tenant("travel"), create_tenant("cached")
    await asyncio.gather(
        until_rejected(travel, module), until_rejected(cached, extra, online_store=REDIS)
    )

    await cached.change(runtime={"image": image})

    await cached.until(both(recorded(2), says("Ready", "True")))
