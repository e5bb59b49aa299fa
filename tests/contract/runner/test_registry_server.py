"""Jobs with ``registry_type: remote``: a real Feast registry server, before registries of files.

Feast's client asks the server for everything, and the answer of its `Proto` call names no project.
"""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from tests.contract.runner.harness import Zygote, request
from tests.contract.runner.repos import NOW, Repo
from tests.contract.runner.stores import Stores, on_disk
from tests.contract.runner.test_life_of_a_project import views
from tests.servers.registry import start_registry_server

from feature_lineage.operations.job_report import JobReport, Outcome
from feature_lineage.operations.protocol import ApplyRequest, MaterializeRequest
from feature_lineage.runner import registry_server
from feature_lineage.runner.errors import RegistryUnreadable
from feature_lineage.runner.settings import load_settings


def _apply(repo: Repo, zygote: Zygote, kind: str = "apply") -> JobReport:
    return zygote.run(request(kind, repo.path, ApplyRequest(), owner="mine"))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, zygote: Zygote) -> Iterator[tuple[Repo, str]]:
    """A repo that is applied to a registry of files, and the address of its server."""
    path = tmp_path_factory.mktemp("served") / "repo"
    repo = Repo(path, on_disk("file", path)).rich()
    applied = _apply(repo, zygote)
    assert applied.outcome is Outcome.SUCCEEDED, applied.message
    with start_registry_server(repo.path) as address:
        yield repo, address


@pytest.fixture
def repo(served: tuple[Repo, str]) -> Repo:
    return served[0]


@pytest.fixture
def client(served: tuple[Repo, str], tmp_path: Path) -> Repo:
    """A copy of the repo that reaches the registry by the server only."""
    repo, address = served
    online = f"online_store: {{type: sqlite, path: {repo.stores.folder}/online.db}}"
    yaml = f"registry: {{registry_type: remote, path: '{address}'}}\n{online}\n"
    made = Repo(tmp_path / "client", Stores("remote", yaml, repo.stores.folder))
    for file in ("features.py", "helpers.py"):
        shutil.copy(repo.path / file, made.path)
    return made


def test_the_server_says_what_the_registry_holds(
    client: Repo, repo: Repo, zygote: Zygote, monkeypatch: pytest.MonkeyPatch
) -> None:
    direct = zygote.run(request("observe", repo.path))
    seen = zygote.run(request("observe", client.path))

    assert seen.snapshot is not None
    assert direct.snapshot is not None
    assert seen.snapshot.objects == direct.snapshot.objects
    assert len(views(seen)) == len(views(direct)) > 5
    assert (seen.registry_type, seen.outcome) == ("remote", Outcome.SUCCEEDED)
    assert seen.registry_id != direct.registry_id

    monkeypatch.setattr(registry_server, "PAGE", 1)
    paged = registry_server.read_server(load_settings(client.path, None).config)
    assert len(paged.feature_views) == 4
    assert [project.spec.name for project in paged.projects] == ["ranking"]


def test_a_plan_compares_with_what_the_server_has(client: Repo, zygote: Zygote) -> None:
    same = _apply(client, zygote, "plan")
    assert (same.outcome, same.plan and same.plan.changes) == (Outcome.PLANNED, ())

    client.edit('Field(name="trips", dtype=Int64)', 'Field(name="trips", dtype=Int32)')
    client.edit("import Float32,", "import Int32, Float32,")
    changed = _apply(client, zygote, "plan")
    assert changed.plan is not None
    assert {(c.name, c.feature, c.change) for c in changed.plan.changes} >= {
        ("driver_stats", "trips", "TypeChanged")
    }


def test_definitions_are_not_written_through_a_server(
    client: Repo, repo: Repo, zygote: Zygote
) -> None:
    before = repo.stores.registry_state()
    client.edit('tags={"project"', 'tags={"new": "1", "project"')

    for kind in ("apply", "delete"):
        refused = zygote.run(request(kind, client.path, owner="mine"))
        assert (refused.outcome, refused.reason) == (Outcome.FAILED, "InvalidRepo")
        assert refused.message.startswith(f"registry_type remote: {kind} needs a transaction")
        assert "spec.apply.mode to Observe" in refused.message

    assert repo.stores.registry_state() == before


def test_views_are_materialized_through_a_server(client: Repo, repo: Repo, zygote: Zygote) -> None:
    window = MaterializeRequest(all_views_start=NOW - timedelta(days=1), all_views_end=NOW)

    done = zygote.run(request("materialize", client.path, window, owner="mine"))

    found = views(done)
    assert (found["driver_stats"].result, found["driver_stats"].rows) == ("Succeeded", 3)
    assert found["driver_stats"].materialized_until == NOW
    # Feast's own client cannot send the interval of a stream view.
    assert "StreamFeatureView" in found["streamed"].error
    direct = views(zygote.run(request("observe", repo.path)))
    assert direct["driver_stats"].materialized_until == NOW


def test_a_server_that_is_away_is_no_empty_registry(client: Repo, zygote: Zygote) -> None:
    (client.path / "feature_store.yaml").write_text(
        client.yaml().replace("'localhost:", "'localhost:1")
    )

    for kind in ("plan", "observe"):
        failed = zygote.run(request(kind, client.path))
        assert (failed.outcome, failed.reason) == (Outcome.FAILED, "RegistryUnreadable")
        assert "(registry_type: remote) cannot be read: UNAVAILABLE" in failed.message
        assert failed.snapshot is None


def test_a_server_without_the_calls_is_named(tmp_path: Path) -> None:
    """A gRPC server of something else, or of a Feast that has not the calls yet."""
    server = grpc.server(ThreadPoolExecutor(1))
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yaml = f"registry: {{registry_type: remote, path: '{address}'}}\n"
    client = Repo(tmp_path / "client", Stores("remote", yaml, tmp_path))
    try:
        with pytest.raises(RegistryUnreadable, match=r"UNIMPLEMENTED.*no registry server of Feast"):
            registry_server.read_server(load_settings(client.path, None).config)
    finally:
        server.stop(None).wait()
