"""A control plane, an MLflow server with one version of each model, and an applied project.

The project is in the state that an earlier operator left: its registry was read, its snapshot is
stored, no job is due. The project is only observed (``apply.mode: Observe``) and not read again
within a year, so only the models are measured and no job starts. Tags are off: a tag is a write to
MLflow, and bare status patches have no such write.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from examples.mlflow_server import Server, start_mlflow
from tests.cluster.chart.helm import NAMESPACE, RELEASE, Helm
from tests.cluster.controlplane import CRDS, ControlPlane
from tests.cluster.host.process import Operator, grant_permissions

from benchmarks.cluster_traffic import Object, RawClient, in_bulk, raw_client
from benchmarks.decide import reconcile_until_quiet
from benchmarks.environment import InMemoryPorts
from benchmarks.project_fixture import PROJECT, SyntheticProject
from benchmarks.seed import seed
from feature_lineage.api import FeatureStoreProject
from feature_lineage.decide.facts import Key
from feature_lineage.features.history import SnapshotRecord
from feature_lineage.kube.api_client import connect
from feature_lineage.kube.cache.cache_entry import parsed
from feature_lineage.kube.kinds import MODELS, PROJECTS, Kind
from feature_lineage.kube.snapshots import KubeSnapshots
from feature_lineage.reconcile.reconciler import Reconciler

NAME = "ranking"
POLL = "30s"
BEFORE_TRAINING = datetime(1970, 1, 1, tzinfo=UTC)
"""`seed` starts all training runs a millisecond later."""
WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


@dataclass(frozen=True)
class ClusterSetup:
    """The environment before an operator starts.

    Attributes:
        admin: connections of an administrator.
        account: connections with the operator's own permissions, for the floors.
        models: number of models in a namespace.
    """

    plane: ControlPlane
    mlflow: Server
    folder: Path
    kubeconfig: Path
    admin: RawClient
    account: RawClient
    models: int

    async def furnish(self, namespace: str) -> None:
        """Create a namespace with the project and its models, none of which has a status."""
        self.plane.kubectl("create", "namespace", namespace)
        await self._project(namespace)
        await self.bare_models(namespace)

    async def bare_models(self, namespace: str) -> list[Object]:
        """Create only the models."""
        return await in_bulk(
            lambda number: self.admin.create(MODELS, namespace, _model(number)),
            range(self.models),
        )

    def operator(self, *namespaces: str) -> Operator:
        """A replica for these namespaces; not started."""
        config = {"namespaces": [*namespaces]}
        compiled = _compiled(self.folder)
        return Operator(self.kubeconfig, config, self.folder, NAMESPACE, compiled)

    def writes(self) -> list[str]:
        """Return the writes of the operator's account so far, without those of its Lease."""
        user = f"system:serviceaccount:{NAMESPACE}:{RELEASE}"
        return [
            f"{record.verb} {record.uri}: {record.code}"
            for record in self.plane.audit()
            if record.user == user and record.verb in WRITES and record.resource != "leases"
        ]

    def mlflow_calls(self) -> int:
        """Return the number of requests that MLflow has answered, by its access log."""
        return self.mlflow.log.read_text(errors="replace").count(' HTTP/1.1"')

    async def _project(self, namespace: str) -> None:
        created = await self.admin.create(PROJECTS, namespace, _project(self.mlflow.url))
        project = parsed(created)[1]
        assert isinstance(project, FeatureStoreProject)
        synthetic = SyntheticProject(versions=1)
        now = datetime.now(UTC).replace(microsecond=0)
        environment = InMemoryPorts(project, synthetic.snapshot(), synthetic.view(), now)
        await reconcile_until_quiet(Reconciler(environment.ports), environment)
        status = {"status": environment.project_.status.as_dict()}
        await self.admin.patch(PROJECTS, namespace, NAME, status, "status")
        async with await connect(str(self.plane.kubeconfig)) as api:
            record = SnapshotRecord(BEFORE_TRAINING, environment.registry_snapshot.digest, "", now)
            key = Key("FeatureStoreProject", namespace, NAME)
            shelf = KubeSnapshots(api, lambda _: project)
            await shelf.put(key, environment.registry_snapshot, record)


@asynccontextmanager
async def scene(models: int) -> AsyncIterator[ClusterSetup]:
    """Start the servers and fill MLflow; everything is removed at the end."""
    async with contextlib.AsyncExitStack() as stack:
        tmp = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-cluster-"))
        mlflow = stack.enter_context(start_mlflow(Path(tmp, "mlflow")))
        seed(mlflow.url, Path(tmp, "mlflow/mlflow.db"), models, per_model=1)
        plane = stack.enter_context(ControlPlane().start(CRDS))
        _compile(Path(tmp))
        grant_permissions(plane, Helm(Path(tmp, "helm")).render())
        kubeconfig = plane.service_account_kubeconfig(NAMESPACE, RELEASE)
        yield ClusterSetup(
            plane=plane,
            mlflow=mlflow,
            folder=Path(tmp),
            kubeconfig=kubeconfig,
            admin=await stack.enter_async_context(raw_client(plane.kubeconfig)),
            account=await stack.enter_async_context(raw_client(kubeconfig)),
            models=models,
        )


def _compiled(folder: Path) -> dict[str, str]:
    """Environment in which Python keeps its compiled files, as an image has them from its build."""
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(folder / "compiled")}


def _compile(folder: Path) -> None:
    modules = "feature_lineage.cli.main, feature_lineage.kube.operator_process"
    environment = {**os.environ, **_compiled(folder)}
    subprocess.run([sys.executable, "-c", f"import {modules}"], env=environment, check=True)


def model_name(number: int) -> str:
    return f"model-{number:05}"


def _manifest(kind: Kind, name: str, spec: Object) -> Object:
    metadata = {"name": name}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, "spec": spec}


def _project(tracking_uri: str) -> Object:
    spec = {
        "project": PROJECT,
        "source": {"image": {"path": "/repo"}},
        "apply": {"mode": "Observe"},
        "registry": {"pollInterval": "365d"},
        "mlflow": {"trackingUri": tracking_uri, "pollInterval": POLL},
    }
    return _manifest(PROJECTS, NAME, spec)


def _model(number: int) -> Object:
    spec = {
        "projectRef": {"name": NAME},
        "model": {"name": f"model_{number:05}", "alias": "champion"},
        "tags": {"mode": "Off"},
    }
    return _manifest(MODELS, model_name(number), spec)
