"""One process with Feast imported and one PostgreSQL server for contract tests of the runner."""

import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from tests.contract.runner.harness import Cli, Zygote
from tests.contract.runner.repos import Repo
from tests.contract.runner.stores import Stores, on_disk, on_postgres
from tests.servers.postgres import Postgres, start_postgres

Build = Callable[..., Repo]


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    process = Zygote()
    yield process
    process.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    # Not below pytest's folder: the next pytest process denies other users access to it.
    with (
        tempfile.TemporaryDirectory(prefix="postgres-") as folder,
        start_postgres(folder) as server,
    ):
        yield server


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path)


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """A repo with a file registry."""
    path = tmp_path / "repo"
    return Repo(path, on_disk("file", path))


_databases = count(1)


@pytest.fixture
def build(tmp_path: Path, request: pytest.FixtureRequest) -> Build:
    """Create a repo with a registry of the given kind: file, sqlite or postgres.

    Repos of the same kind in one test share registry and online store, as projects do.
    """
    stores: dict[str, Stores] = {}
    numbers = count(1)

    def make(kind: str, project: str = "ranking") -> Repo:
        path = tmp_path / f"{kind}-{next(numbers)}"
        if kind not in stores:
            stores[kind] = (
                on_disk(kind, path)
                if kind != "postgres"
                else on_postgres(request.getfixturevalue("postgres"), f"d{next(_databases)}")
            )
        return Repo(path, stores[kind], project)

    return make
