"""Which projects share a server, when a credential is read again, and what is removed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from tests.access import ENTRIES, entry
from tests.unit.tracking.fake import Clock

from feature_lineage.api import FeatureStoreProject
from feature_lineage.errors import HostNotAllowed, ServerUnavailable
from feature_lineage.objects import ObjectKind
from feature_lineage.ports import RegistryAddress
from feature_lineage.tracking import AccessEntry, BearerToken, MLflowServer
from feature_lineage.tracking.client_pool import ModelRegistryPool
from feature_lineage.tracking.permitted_registry import PermittedRegistry

URI = "http://mlflow.ml:5000"
OWN = "http://own.example:5000"
MODEL = "driver_model"
TOKEN = {"bearer": {"secretRef": {"name": "mlflow"}}}


class Secrets:
    """One Secret in every namespace."""

    def __init__(self) -> None:
        self.token = b"first"
        self.read = 0

    async def contents(self, kind: ObjectKind, namespace: str, name: str) -> Mapping[str, bytes]:
        self.read += 1
        return {"token": self.token}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def secrets() -> Secrets:
    return Secrets()


@dataclass
class Platforms:
    """A server of the platform, and the number of reads of its files."""

    tracking_uri: str
    workspace: str = ""
    access: tuple[AccessEntry, ...] = ENTRIES
    read: int = 0

    def server(self) -> MLflowServer:
        self.read += 1
        return MLflowServer(self.tracking_uri, self.workspace, BearerToken("t"))


@pytest.fixture
def platform() -> dict[str, Platforms]:
    """The servers that a serverRef may name."""
    return {
        "bound": Platforms(URI, "platform"),
        "free": Platforms(f"{URI}/"),
        "none": Platforms("databricks"),
    }


@pytest.fixture
def shared(clock: Clock, secrets: Secrets, platform: dict[str, Platforms]) -> ModelRegistryPool:
    return ModelRegistryPool(
        secrets, clock, platform_servers=platform, allowed=lambda uri: "forbidden" not in uri
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


async def test_projects_that_name_a_server_alike_share_it(shared: ModelRegistryPool) -> None:
    one = await shared.of(project("one", trackingUri=OWN))
    two = await shared.of(project("two", trackingUri=f"{OWN}/", pollInterval="5m"))

    assert one is two
    assert await shared.of(project("none")) is None
    assert len(shared.open()) == 1


async def test_a_rotated_credential_closes_the_old_client(
    shared: ModelRegistryPool, clock: Clock, secrets: Secrets
) -> None:
    named = project(trackingUri=OWN, auth=TOKEN)
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


async def test_the_secret_of_each_namespace_is_its_own(clock: Clock) -> None:
    class Named:
        async def contents(self, kind: ObjectKind, namespace: str, name: str) -> Any:
            return {"token": namespace.encode()}

    pool = ModelRegistryPool(Named(), clock)
    found = []
    for namespace in ("ml", "evil"):
        named = project(trackingUri=URI, auth=TOKEN)
        metadata = named.metadata.model_copy(update={"namespace": namespace})
        found.append(await pool.of(named.model_copy(update={"metadata": metadata})))

    assert [each.server.credential for each in found if each] == [
        BearerToken("ml"),
        BearerToken("evil"),
    ]


async def test_a_client_unused_for_ten_minutes_is_closed(
    shared: ModelRegistryPool, clock: Clock
) -> None:
    left, kept = project(trackingUri=OWN), project(trackingUri="http://other:5000")
    gone, stays = await shared.of(left), await shared.of(kept)
    clock.advance(minutes=10)
    await shared.of(kept)
    assert shared.open() == (gone, stays)

    clock.advance(minutes=1)
    assert await shared.of(kept) is stays

    assert shared.open() == (stays,)
    assert gone is not None
    with pytest.raises(ServerUnavailable, match="it was not used"):
        await gone.history("churn-feast-ops")
    assert await shared.of(left) not in (None, gone)


async def test_a_server_outlives_one_of_the_specs_that_stood_for_it(
    shared: ModelRegistryPool, clock: Clock
) -> None:
    before = await shared.of(project(trackingUri=OWN))
    for _ in range(12):
        clock.advance(minutes=1)
        assert await shared.of(project(trackingUri=OWN, logOperations=False)) is before

    assert shared.open() == (before,)


async def test_the_last_project_leaves_no_client(shared: ModelRegistryPool, clock: Clock) -> None:
    await shared.of(project(trackingUri=OWN))
    clock.advance(minutes=11)

    assert await shared.of(project("none")) is None
    assert shared.open() == ()


async def test_a_long_poll_interval_keeps_the_client(
    shared: ModelRegistryPool, clock: Clock
) -> None:
    seldom = project(trackingUri=OWN, pollInterval="1h")
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
async def test_the_platforms_workspace_wins_over_the_projects(
    shared: ModelRegistryPool, server: str, workspace: str | None, used: str
) -> None:
    named = {"serverRef": server} | ({"workspace": workspace} if workspace else {})
    registry = await shared.of(project(**named))

    assert registry is not None
    assert registry.server.workspace == used


async def test_a_workspace_that_the_platform_does_not_give_is_refused(
    shared: ModelRegistryPool,
) -> None:
    with pytest.raises(HostNotAllowed, match=r"'team-a'.* server bound: 'platform'"):
        await shared.of(project(serverRef="bound", workspace="team-a"))

    assert shared.open() == ()


async def test_a_tracking_uri_outside_the_allowlist_is_refused(
    shared: ModelRegistryPool,
) -> None:
    with pytest.raises(HostNotAllowed, match="allowedTrackingUris"):
        await shared.of(project(trackingUri="http://forbidden:5000"))


HERE = RegistryAddress(URI, "default")


@pytest.mark.parametrize(
    ("mlflow", "place"),
    [
        ({"trackingUri": URI}, HERE),
        ({"trackingUri": "http://MLflow.ml:5000/"}, HERE),
        ({"trackingUri": URI, "workspace": "default"}, HERE),
        ({"trackingUri": URI, "auth": TOKEN}, HERE),
        ({"serverRef": "free"}, HERE),
        ({"serverRef": "free", "workspace": "default"}, HERE),
        ({"serverRef": "free", "workspace": "platform"}, RegistryAddress(URI, "platform")),
        ({"serverRef": "bound"}, RegistryAddress(URI, "platform")),
        ({"serverRef": "bound", "workspace": "platform"}, RegistryAddress(URI, "platform")),
        ({"trackingUri": URI, "workspace": "platform"}, RegistryAddress(URI, "platform")),
        (
            {"trackingUri": "http://mlflow.ml"},
            RegistryAddress("http://mlflow.ml", "default", "ml"),
        ),
        ({"trackingUri": "http://OWN.example:5000/"}, RegistryAddress(OWN, "default", "ml")),
    ],
)
async def test_an_address_is_equal_for_each_spelling_and_credential(
    shared: ModelRegistryPool, mlflow: dict[str, Any], place: RegistryAddress
) -> None:
    named = project(**mlflow)
    registry = await shared.of(named)

    assert registry is not None
    assert shared.address_of(named, MODEL, "ml") == place
    assert registry.server.workspace in (place.workspace, "")


def test_credentials_of_two_namespaces_do_not_compete_at_an_address(
    shared: ModelRegistryPool,
) -> None:
    named = project(trackingUri=OWN)
    metadata = named.metadata.model_copy(update={"namespace": "evil"})
    evil = named.model_copy(update={"metadata": metadata})

    places = {shared.address_of(each, MODEL, "ml") for each in (named, evil)}

    assert len(places - {None}) == 2


SPELLINGS = (
    "http://mlflow.ml:5000",
    "http://MLFLOW.ml:5000/",
    "https://mlflow.ml:5000",
    "http://mlflow.ml.:5000",
    "http://mlflow.ml.svc:5000",
    "http://mlflow.ml.svc.cluster.local:5000/",
    "http://mlflow.ml:05000//",
    "http://mlflow.ml:5000/.",
    "http://mlflow.ml:5000/a/..",
    "http://mlflow.ml:5000/a/%2e%2e",
    "http://mlflow\u3002ml:5000",
)


@pytest.mark.parametrize("uri", SPELLINGS)
async def test_an_address_of_the_platform_needs_an_entry_in_any_spelling(
    shared: ModelRegistryPool, platform: dict[str, Platforms], secrets: Secrets, uri: str
) -> None:
    platform["free"].access = (entry("Tags", namespaces="team", models="solo_*"),)
    named = project(trackingUri=uri, auth=TOKEN)

    with pytest.raises(HostNotAllowed, match="address of a server of the platform"):
        await shared.of(named)

    assert shared.address_of(named, "solo_model", "ml") is None
    assert secrets.read == 0
    metadata = named.metadata.model_copy(update={"namespace": "team"})
    team = named.model_copy(update={"metadata": metadata})
    assert isinstance(await shared.of(team), PermittedRegistry)
    assert shared.address_of(team, "solo_model", "team") == HERE
    assert shared.address_of(team, "other_model", "team") is None


@pytest.mark.parametrize(
    ("listed", "named"),
    [
        ("http://127.0.0.1:5000", "http://0x7f.1:5000"),
        ("http://127.0.0.1:5000", "http://2130706433:5000"),
        ("http://127.0.0.1:5000", "http://[::ffff:127.0.0.1]:5000"),
        ("http://[::1]:5000", "http://[0:0::0:1]:5000"),
        ("https://mlflow.example", "http://mlflow.example:80"),
        ("https://mlflow.example:443/a", "https://mlflow.example/%61/"),
    ],
)
def test_an_address_of_the_platform_in_numbers_or_by_its_default_port(
    shared: ModelRegistryPool, platform: dict[str, Platforms], listed: str, named: str
) -> None:
    platform.clear()
    platform["prod"] = Platforms(listed, access=())

    assert shared.address_of(project(trackingUri=named), MODEL, "ml") is None


@pytest.mark.parametrize(
    "uri",
    [
        "http://mlflow.ml:5001",
        "http://mlflow.ml:5000/team",
        "http://mlflow.other:5000",
        "http://other:5000",
    ],
)
def test_another_address_needs_no_entry(
    shared: ModelRegistryPool, platform: dict[str, Platforms], uri: str
) -> None:
    platform["free"].access = platform["bound"].access = ()

    assert shared.address_of(project(trackingUri=uri), MODEL, "ml") is not None


def test_entries_of_two_names_for_a_server_add_up(
    shared: ModelRegistryPool, platform: dict[str, Platforms]
) -> None:
    for number, workspace in (("one", ""), ("two", "default"), ("three", "other")):
        access = (entry("Tags", models=number),)
        platform[number] = Platforms(URI, workspace, access)
    del platform["free"]
    named = project(trackingUri=URI)

    tagged = [n for n in ("one", "two", "three") if shared.address_of(named, n, "ml")]

    assert tagged == ["one", "two"]


async def test_a_forbidden_address_is_refused_before_the_platforms_are_told(
    shared: ModelRegistryPool, platform: dict[str, Platforms]
) -> None:
    platform["forbidden"] = Platforms("http://forbidden:5000", access=())

    with pytest.raises(HostNotAllowed, match="allowedTrackingUris"):
        await shared.of(project(trackingUri="http://forbidden:5000"))


@pytest.mark.parametrize(
    "mlflow",
    [
        {},
        {"serverRef": "nobody"},
        {"serverRef": "none"},
        {"serverRef": "bound", "workspace": "default"},
        {"trackingUri": "http://forbidden:5000"},
        {"trackingUri": "http://mlflow.ml:port"},
    ],
)
def test_a_missing_or_refused_server_has_no_address(
    shared: ModelRegistryPool, mlflow: dict[str, Any]
) -> None:
    assert shared.address_of(project(**mlflow), MODEL, "ml") is None


def test_an_address_needs_no_credential(
    shared: ModelRegistryPool, secrets: Secrets, platform: dict[str, Platforms]
) -> None:
    for mlflow in ({"trackingUri": URI, "auth": TOKEN}, {"serverRef": "bound"}):
        assert shared.address_of(project(**mlflow), MODEL, "ml") is not None

    assert (secrets.read, platform["bound"].read) == (0, 0)


def test_a_server_that_the_platform_moves_has_a_new_address(
    shared: ModelRegistryPool, platform: dict[str, Platforms]
) -> None:
    named = project(serverRef="free")
    assert shared.address_of(named, MODEL, "ml") == HERE

    platform["free"].tracking_uri = "http://other:5000"
    assert shared.address_of(named, MODEL, "ml") == RegistryAddress("http://other:5000", "default")
