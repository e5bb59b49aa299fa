"""Code that someone stored in a registry: reading the registry does not run the code."""

import pickle
from pathlib import Path

import dill
import pytest
from feast.protos.feast.core.Registry_pb2 import Registry
from tests.contract.runner.harness import Zygote, request
from tests.contract.runner.repos import Repo

from feature_lineage.operations.job_report import Outcome


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
