"""What a feature repository needs beside the runner, one of Feast's extras or a package of its own,
is named where it is missing, and there in an image that was built as docs/images.md says."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
import yaml
from tests.cluster.host.waiting import condition, says
from tests.e2e.conftest import SettleTenant
from tests.e2e.house import both, recorded, state
from tests.e2e.images import own
from tests.e2e.own_image import EXTRA, PACKAGE
from tests.e2e.tenant import Tenant, secret
from tests.e2e.world import World
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
"""There is none: applying a view for the first time does not ask it."""


@dataclass(frozen=True)
class Need:
    """Something that the runner lacks.

    Attributes:
        name: of the tenant.
        message: what is told of it, from the beginning.
        features: the repo's code.
        store: of feature_store.yaml, what differs.
    """

    name: str
    message: str
    features: str
    store: dict[str, Any]


NEEDS = (
    Need(
        "travel",
        f"features.py:27: there is no module named {PACKAGE!r}: add {PACKAGE!r} to the runner"
        " image (spec.runtime.image)",
        FEATURES + DISTANCE,
        {},
    ),
    Need(
        "cached",
        "feature_store.yaml (given by featureStoreYaml) is not valid: it needs the package 'redis'"
        f" (Feast's extra {EXTRA!r}): add it to the runner image (spec.runtime.image)",
        FEATURES,
        {"online_store": REDIS},
    ),
)


@pytest.fixture(scope="module")
def image(world: World) -> str:
    """The repository's own, on the node."""
    with world.timed("a repository's image"):
        world.node.load(own().archive)
    return own().reference


async def told_until_it_is_there(tenant: Tenant, need: Need, image: str) -> None:
    tenant.commit(need.features)
    store = yaml.safe_dump({**tenant.store(), **need.store})
    tenant.apply(secret("feature-store", **{"feature_store.yaml": store}))
    await tenant.create_project()
    project = await tenant.until(both(recorded(1), says("Applied", "False", "InvalidRepo")))
    assert condition(project, "Applied")["message"].startswith(need.message)
    assert state(project, "Stalled") == ("True", "InvalidRepo")

    await tenant.change(runtime={"image": image})
    await tenant.until(both(recorded(2), says("Ready", "True")))


async def test_what_the_runner_lacks_is_named_and_an_image_that_has_it_is_all_it_takes(
    settle: SettleTenant, image: str
) -> None:
    tenants = [settle(need.name) for need in NEEDS]
    await asyncio.gather(
        *(
            told_until_it_is_there(tenant, need, image)
            for tenant, need in zip(tenants, NEEDS, strict=True)
        )
    )
