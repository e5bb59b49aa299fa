"""A project with its repo in a ConfigMap and its stores on a claim, and its model."""

import asyncio
import contextlib
import json
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.project_fixture import JOB_SECONDS, ProjectFixture
from tests.local.scene import FEATURE_STORE, FEATURES, write_repo

from feature_lineage.kube.api_client import Object
from feature_lineage.kube.kinds import PROJECTS

POD_GUARD_SECONDS = 30
"""maxGuardAge of tests with a slow import: a new leader answers within a fraction of it."""


@dataclass
class HostProject(ProjectFixture):
    """One project and its model, with the same name, in a namespace; the stores are on a claim.

    Args:
        folder: folder of the claim.
        mlflow_url: the address at which the operator finds MLflow.
    """

    folder: Path = field(kw_only=True)
    mlflow_url: str = field(kw_only=True)

    @property
    def stores(self) -> Path:
        """The folder with the content of the claim ``stores``."""
        return self.folder / "repo" / "data"

    def prepare(self, features: str = FEATURES) -> None:
        """Create the repo and its data."""
        write_repo(self.folder / "repo", self.project)
        self.stores.chmod(0o777)
        store = FEATURE_STORE.format(project=self.project).replace("data/", "/stores/")
        files = {"feature_store.yaml": store, "features.py": features.replace("data/", "/stores/")}
        metadata = {"name": "repo", "namespace": self.namespace}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": files}
        self.kubectl("apply", "-f", "-", stdin=json.dumps(body))

    async def create_project(self, **spec: Any) -> Object:
        mounted = {
            "volumes": [{"name": "stores", "persistentVolumeClaim": {"claimName": "stores"}}],
            "volumeMounts": [{"name": "stores", "mountPath": "/stores"}],
        }
        body = {
            "project": self.project,
            "source": {"configMapRef": {"name": "repo"}, "pollInterval": "1s"},
            "mlflow": {"trackingUri": self.mlflow_url, "pollInterval": "1s"},
            "runtime": mounted,
        }
        return await self.create(PROJECTS, {**body, **spec})

    async def until_tagged(self, wanted: dict[str, set[str]]) -> None:
        """Wait until versions have these tags; MLflow sends no events, so this polls."""
        found: dict[str, set[str]] = {}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(JOB_SECONDS):
                while (found := {each: set(self.tags(each)) for each in wanted}) != wanted:
                    await asyncio.sleep(0.1)
        assert found == wanted, found

    def online_rows(self) -> dict[str, int]:
        """Return the number of values in each table of the online store."""
        with contextlib.closing(sqlite3.connect(self.stores / "online.db")) as store:
            tables = store.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            count = "SELECT count(*) FROM "
            return {name: store.execute(count + name).fetchone()[0] for (name,) in tables}
