"""A real Feast registry server with permissions and tokens, and one whose project changes.

Feast leaves out of each list what the client may not describe, without an error.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from feast.protos.feast.core.Registry_pb2 import Registry
from tests.contract.runner.harness import Zygote, request
from tests.contract.runner.repos import Repo
from tests.contract.runner.stores import Stores, on_disk
from tests.contract.runner.test_life_of_a_project import views
from tests.servers.identity import Identity, start_identity
from tests.servers.registry import start_registry_server

from feature_lineage.operations.job_report import JobReport, Outcome
from feature_lineage.operations.protocol import ApplyRequest
from feature_lineage.runner import registry_server
from feature_lineage.runner.errors import RegistryUnreadable
from feature_lineage.runner.settings import load_settings

PERMISSIONS = """
from feast.feast_object import ALL_RESOURCE_TYPES

everything = Permission(
    name="everything", types=ALL_RESOURCE_TYPES, policy=RoleBasedPolicy(roles=["owner"]),
    name_patterns=[".*"], actions=[AuthzedAction.DESCRIBE],
)
some = Permission(
    name="some", types=ALL_RESOURCE_TYPES, policy=RoleBasedPolicy(roles=["reader"]),
    name_patterns=["^(?!driver_stats$|city$|activity$|labels$).*"],
    actions=[AuthzedAction.DESCRIBE],
)
"""


@dataclass(frozen=True)
class Served:
    """A project behind a server that asks for tokens."""

    repo: Repo
    address: str
    identity: Identity

    @property
    def registry(self) -> Path:
        return self.repo.stores.folder / "registry.db"

    def client(self, path: Path, *roles: str) -> Repo:
        """A folder that reaches the project as a user with these roles."""
        auth = f"auth: {{type: oidc, token: {self.identity.token(*roles)}}}"
        yaml = f"registry: {{registry_type: remote, path: '{self.address}'}}\n{auth}\n"
        return Repo(path, Stores("remote", yaml, self.repo.stores.folder))

    def edit(self) -> Registry:
        return Registry.FromString(self.registry.read_bytes())

    def write(self, proto: Registry) -> None:
        """Write the registry as another client would."""
        proto.version_id = str(uuid4())
        self.registry.write_bytes(proto.SerializeToString())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, zygote: Zygote) -> Iterator[Served]:
    path = tmp_path_factory.mktemp("permitted") / "repo"
    repo = Repo(path, on_disk("file", path)).rich()
    repo.edit("activity = FeatureService(", PERMISSIONS + "\nactivity = FeatureService(")
    repo.edit('name="reader",', 'name="reader", name_patterns=["^none$"],')
    applied = zygote.run(request("apply", repo.path, ApplyRequest(), owner="mine"))
    assert applied.outcome is Outcome.SUCCEEDED, applied.message
    with start_identity() as identity:
        yaml = path / "feature_store.yaml"
        auth = f"auth: {{type: oidc, auth_discovery_url: '{identity.url}'}}\n"
        yaml.write_text(repo.yaml() + auth)
        with start_registry_server(path) as address:
            yaml.write_text(repo.yaml())
            yield Served(repo, address, identity)


@pytest.fixture
def served(server: Served) -> Iterator[Served]:
    before = server.registry.read_bytes()
    yield server
    server.registry.write_bytes(before)


def _observe(zygote: Zygote, repo: Repo) -> JobReport:
    return zygote.run(request("observe", repo.path))


def _read(repo: Repo) -> Registry:
    read: Registry = registry_server.read_server(load_settings(repo.path, None).config)
    return read


def test_a_client_that_may_describe_all_sees_all(
    served: Served, tmp_path: Path, zygote: Zygote
) -> None:
    direct = _observe(zygote, served.repo)
    seen = _observe(zygote, served.client(tmp_path / "client", "owner"))

    assert seen.outcome is Outcome.SUCCEEDED, seen.message
    assert seen.snapshot is not None
    assert direct.snapshot is not None
    assert seen.snapshot.objects == direct.snapshot.objects
    assert len(views(seen)) == len(views(direct)) > 5


def test_what_a_client_may_not_describe_is_not_gone(
    served: Served, tmp_path: Path, zygote: Zygote
) -> None:
    client = served.client(tmp_path / "client", "reader")
    for kind in ("observe", "plan"):
        part = ApplyRequest() if kind == "plan" else None
        hidden = zygote.run(request(kind, client.path, part))
        assert (hidden.outcome, hidden.reason) == (Outcome.FAILED, "RegistryUnreadable")
        assert hidden.message.endswith(
            "the server does not show entity 'city', featureService 'activity', featureView "
            "'driver_stats', labelView 'labels'; "
            "permit DESCRIBE on the whole project to this client"
        )
        assert hidden.snapshot is None

    stranger = _observe(zygote, served.client(tmp_path / "stranger", "nobody"))
    assert (stranger.outcome, stranger.reason) == (Outcome.FAILED, "RegistryUnreadable")
    assert "FeastPermissionError" in stranger.message
    assert stranger.message.endswith("permit DESCRIBE on the whole project to this client")


def test_a_name_of_an_object_that_is_gone_hides_nothing(
    served: Served, tmp_path: Path, zygote: Zygote
) -> None:
    proto = served.edit()
    (city,) = (entity for entity in proto.entities if entity.spec.name == "city")
    (trips,) = (view for view in proto.feature_views if view.spec.name == "driver_stats")
    proto.entities.remove(city)
    proto.feature_views.remove(trips)
    served.write(proto)

    seen = _observe(zygote, served.client(tmp_path / "client", "owner"))

    assert seen.outcome is Outcome.SUCCEEDED, seen.message
    assert seen.snapshot is not None
    assert "city" not in seen.snapshot.objects["entity"]
    assert "driver_stats" not in seen.snapshot.objects["feature_view"]


def test_a_page_above_the_limit_of_grpc_is_halved(served: Served, tmp_path: Path) -> None:
    proto = served.edit()
    for number in range(30):
        proto.entities.add().CopyFrom(proto.entities[0])
        proto.entities[-1].spec.name = f"large_{number:02}"
        proto.entities[-1].spec.tags["text"] = "x" * 400_000
    served.write(proto)
    client = served.client(tmp_path / "client", "owner")

    names = [entity.spec.name for entity in _read(client).entities]
    assert len(names) == len(set(names)) == len(proto.entities)

    proto.entities[-1].spec.tags["text"] = "x" * 5_000_000
    served.write(proto)
    with pytest.raises(RegistryUnreadable, match=r"larger than max.*gRPC refuses an object"):
        _read(client)


@pytest.mark.parametrize("changes", [1, 2, registry_server.READINGS])
def test_no_reading_is_of_two_moments(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: int
) -> None:
    """Another client changes a view and a service, after the views were listed."""
    client = served.client(tmp_path / "client", "owner")
    pages, seen = registry_server._pages, 0

    def between(*args: object, **fields: object) -> Iterator[object]:
        nonlocal seen
        if args[1] == "ListFeatureServices" and (seen := seen + 1) <= changes:
            proto = served.edit()
            for item in (proto.feature_views[0], proto.feature_services[0]):
                item.spec.tags["change"] = str(seen)
            served.write(proto)
        yield from pages(*args, **fields)  # type: ignore[arg-type]

    monkeypatch.setattr(registry_server, "_pages", between)
    if changes == registry_server.READINGS:
        with pytest.raises(RegistryUnreadable, match="'ranking' changed between any two of 4"):
            _read(client)
        return
    read = _read(client)
    name = served.edit().feature_views[0].spec.name
    (view,) = (view for view in read.feature_views if view.spec.name == name)
    assert view.spec.tags["change"] == str(changes)
    assert read.feature_services[0].spec.tags["change"] == str(changes)
