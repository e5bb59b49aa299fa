"""Who shares a server, when a credential is read again, and what is forgotten."""

from collections.abc import Mapping
from typing import Any

import pytest
from tests.unit.tracking.fake import Clock

from feature_lineage.api import FeatureStoreProject
from feature_lineage.errors import AccessRefused, ServerUnavailable
from feature_lineage.objects import ObjectKind
from feature_lineage.tracking import BearerToken, MLflowServer
from feature_lineage.tracking.registries import SharedRegistries

URI = "http://mlflow.ml:5000"
TOKEN = {"bearer": {"secretRef": {"name": "mlflow"}}}


class Secrets:
    """One secret in every namespace."""

    def __init__(self) -> None:
        self.token = b"first"

    async def contents(self, kind: ObjectKind, namespace: str, name: str) -> Mapping[str, bytes]:
        return {"token": self.token}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def secrets() -> Secrets:
    return Secrets()


@pytest.fixture
def platform() -> dict[str, MLflowServer]:
    """What a serverRef may name."""
    return {
        "bound": MLflowServer(URI, "platform", BearerToken("t")),
        "free": MLflowServer(URI, "", BearerToken("t")),
    }


@pytest.fixture
def shared(clock: Clock, secrets: Secrets, platform: dict[str, MLflowServer]) -> SharedRegistries:
    return SharedRegistries(
        secrets, clock, named=platform.get, allowed=lambda uri: "forbidden" not in uri
    )


def project(name: str = "p", **mlflow: Any) -> FeatureStoreProject:
    return FeatureStoreProject.model_validate(
        {
            "metadata": {"name": name, "namespace": "ml"},
            "spec": {
                "project": "churn",
                "source": {"local": {"path": "."}},
                "mlflow": mlflow or None,
            },
        }
    )


async def test_projects_that_name_a_server_alike_share_it(shared: SharedRegistries) -> None:
    one = await shared.of(project("one", trackingUri=URI))
    two = await shared.of(project("two", trackingUri=f"{URI}/", pollInterval="5m"))

    assert one is two
    assert await shared.of(project("none")) is None
    assert len(shared.open()) == 1


async def test_a_rotated_credential_closes_the_old_connection_for_who_still_holds_it(
    shared: SharedRegistries, clock: Clock, secrets: Secrets
) -> None:
    named = project(trackingUri=URI, auth=TOKEN)
    old = await shared.of(named)
    assert old is not None
    secrets.token = b"second"
    clock.advance(seconds=60)
    assert await shared.of(named) is old

    clock.advance(seconds=1)
    new = await shared.of(named)

    assert new is not None
    assert new.server.credential == BearerToken("second")
    assert shared.open() == (new,)
    with pytest.raises(ServerUnavailable, match="was closed"):
        await old.history("churn-feast-ops")


async def test_what_nobody_asked_for_in_ten_minutes_is_closed(
    shared: SharedRegistries, clock: Clock
) -> None:
    left, kept = project(trackingUri=URI), project(trackingUri="http://other:5000")
    gone, stays = await shared.of(left), await shared.of(kept)
    clock.advance(minutes=10)
    await shared.of(kept)
    assert shared.open() == (gone, stays)

    clock.advance(minutes=1)
    assert await shared.of(kept) is stays

    assert shared.open() == (stays,)
    assert gone is not None
    with pytest.raises(ServerUnavailable, match="nobody used it"):
        await gone.history("churn-feast-ops")
    assert await shared.of(left) not in (None, gone)


async def test_a_server_outlives_one_of_the_specs_that_stood_for_it(
    shared: SharedRegistries, clock: Clock
) -> None:
    before = await shared.of(project(trackingUri=URI))
    for _ in range(12):
        clock.advance(minutes=1)
        assert await shared.of(project(trackingUri=URI, logOperations=False)) is before

    assert shared.open() == (before,)


async def test_even_the_last_project_that_goes_leaves_no_server(
    shared: SharedRegistries, clock: Clock
) -> None:
    await shared.of(project(trackingUri=URI))
    clock.advance(minutes=11)

    assert await shared.of(project("none")) is None
    assert shared.open() == ()


async def test_who_polls_seldom_keeps_its_view_between_two_looks(
    shared: SharedRegistries, clock: Clock
) -> None:
    seldom = project(trackingUri=URI, pollInterval="1h")
    before = await shared.of(seldom)
    clock.advance(minutes=61)
    await shared.of(project(trackingUri="http://other:5000"))

    assert await shared.of(seldom) is before


@pytest.mark.parametrize(
    ("server", "workspace", "used"),
    [
        ("bound", None, "platform"),
        ("bound", "platform", "platform"),
        ("free", None, ""),
        ("free", "team-a", "team-a"),
    ],
)
async def test_a_workspace_is_the_platforms_or_where_it_names_none_the_projects(
    shared: SharedRegistries, server: str, workspace: str | None, used: str
) -> None:
    named = {"serverRef": server} | ({"workspace": workspace} if workspace else {})
    registry = await shared.of(project(**named))

    assert registry is not None
    assert registry.server.workspace == used


async def test_a_workspace_that_the_platform_does_not_give_is_refused(
    shared: SharedRegistries,
) -> None:
    with pytest.raises(AccessRefused, match=r"'team-a'.* server bound: 'platform'") as refused:
        await shared.of(project(serverRef="bound", workspace="team-a"))

    assert refused.value.reason == "HostNotAllowed"
    assert shared.open() == ()


async def test_a_tracking_uri_that_the_platform_does_not_allow_is_refused(
    shared: SharedRegistries,
) -> None:
    with pytest.raises(AccessRefused, match="allowedTrackingUris") as refused:
        await shared.of(project(trackingUri="http://forbidden:5000"))

    assert refused.value.reason == "HostNotAllowed"
