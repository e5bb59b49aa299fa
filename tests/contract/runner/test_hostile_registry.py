"""Code that someone stored in a registry: reading the registry does not run the code."""

import pickle
from datetime import timedelta
from pathlib import Path

import dill
import pytest
from feast.protos.feast.core.Registry_pb2 import Registry
from tests.contract.runner.harness import Zygote, request
from tests.contract.runner.repos import NOW, Repo

from feature_lineage.operations.job_report import Outcome
from feature_lineage.operations.protocol import MaterializeRequest
from feature_lineage.reasons import Reason


class Payload:
    """Creates a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.mkdir, (self._folder,)


@pytest.fixture
def mined(repo: Repo, zygote: Zygote, tmp_path: Path) -> Path:
    """The folder that the functions of the registry create; the registry was applied before."""
    assert zygote.run(request("apply", repo.rich().path)).outcome is Outcome.SUCCEEDED
    file = repo.stores.folder / "registry.db"
    registry = Registry.FromString(file.read_bytes())
    folder = tmp_path / "unpickled"
    functions = [
        *(
            view.spec.feature_transformation.user_defined_function
            for view in registry.on_demand_feature_views
        ),
        *(view.spec.user_defined_function for view in registry.stream_feature_views),
    ]
    assert functions
    for function in functions:
        function.body = pickle.dumps(Payload(folder))
        dill.loads(function.body)  # the payload works
        folder.rmdir()
    file.write_bytes(registry.SerializeToString())
    return folder


@pytest.mark.parametrize("kind", ["observe", "plan", "apply"])
def test_a_stored_function_is_not_run(kind: str, mined: Path, repo: Repo, zygote: Zygote) -> None:
    report = zygote.run(request(kind, repo.path))

    assert report.outcome in (Outcome.SUCCEEDED, Outcome.PLANNED), report.message
    assert not mined.exists()


LIMIT = """
from feature_lineage.features import bounds

bounds.MAX_DEPENDENCIES = 50
"""
"""Only the worker imports this: what the worker lets through, the rest of the job takes."""


@pytest.mark.parametrize("kind", ["plan", "apply"])
def test_a_repo_of_too_many_dependencies_changes_nothing(
    kind: str, repo: Repo, zygote: Zygote
) -> None:
    assert zygote.run(request("apply", repo.views(a="trips:Int64").path)).outcome == "Succeeded"
    before = (repo.stores.folder / "registry.db").read_bytes()

    names = {f"v{number}": "trips:Int64" for number in range(3)}
    report = zygote.run(request(kind, repo.views(**names).write(LIMIT, "limit.py").path))

    assert (report.outcome, report.reason) == (Outcome.FAILED, Reason.REPORT_TOO_LARGE)
    assert "has too many dependencies" in report.message
    assert (repo.stores.folder / "registry.db").read_bytes() == before


@pytest.mark.parametrize("kind", ["observe", "materialize"])
def test_a_registry_of_too_many_dependencies_is_left_alone(
    kind: str, repo: Repo, zygote: Zygote
) -> None:
    assert zygote.run(request("apply", repo.views(a="trips:Int64").path)).outcome == "Succeeded"
    file = repo.stores.folder / "registry.db"
    registry = Registry.FromString(file.read_bytes())
    (view,) = registry.feature_views
    for number in range(2000):
        view.spec.entity_columns.add(name=f"k{number}")
    service = registry.feature_services.add()
    service.spec.name, service.spec.project = "all", "ranking"
    for _ in range(1000):
        service.spec.features.add(feature_view_name="a")
    file.write_bytes(registry.SerializeToString())
    before = file.read_bytes()

    window = MaterializeRequest(all_views_start=NOW - timedelta(days=9), all_views_end=NOW)
    report = zygote.run(request(kind, repo.path, window if kind == "materialize" else None))

    assert (report.outcome, report.reason) == (Outcome.FAILED, Reason.REPORT_TOO_LARGE)
    assert "has too many dependencies" in report.message
    assert report.feast_version, "the worker refuses it, before it does anything"
    assert file.read_bytes() == before
