"""One MLflow client for all resources that name the same server with the same credential."""

from collections.abc import Callable
from datetime import datetime

from feature_lineage.api import FeatureStoreProject
from feature_lineage.api.project_spec import MlflowAuth, MlflowSpec
from feature_lineage.errors import NotFound
from feature_lineage.local.objects import Objects
from feature_lineage.tracking import (
    BasicAuth,
    BearerToken,
    Credential,
    MLflowRegistry,
    MLflowServer,
)


class SharedRegistries:
    """`ModelRegistries` of the local host.

    Args:
        objects: the folder's Secrets and ConfigMaps.
        now: the present, aware, in UTC.
    """

    def __init__(self, objects: Objects, now: Callable[[], datetime]) -> None:
        self._objects = objects
        self._now = now
        self._registries: dict[MLflowServer, MLflowRegistry] = {}

    async def of(self, project: FeatureStoreProject) -> MLflowRegistry | None:
        mlflow = project.spec.mlflow
        if mlflow is None:
            return None
        server = self._server(project.metadata.namespace, mlflow)
        registry = self._registries.get(server)
        if registry is None:
            registry = self._registries[server] = MLflowRegistry(server, now=self._now)
        return registry

    def open(self) -> tuple[MLflowRegistry, ...]:
        """Every server that was asked for so far."""
        return tuple(self._registries.values())

    async def close(self) -> None:
        for registry in self._registries.values():
            await registry.close()
        self._registries.clear()

    def _server(self, namespace: str, mlflow: MlflowSpec) -> MLflowServer:
        if mlflow.tracking_uri is None:
            raise NotFound(
                f"spec.mlflow.serverRef {mlflow.server_ref!r} names a server of the platform's "
                "chart values, and a local host has none; use spec.mlflow.trackingUri",
                reason="HostNotAllowed",
            )
        ca_bundle = self._objects.text(namespace, mlflow.ca_bundle) if mlflow.ca_bundle else ""
        return MLflowServer(
            tracking_uri=mlflow.tracking_uri,
            workspace=mlflow.workspace or "",
            credential=self._credential(namespace, mlflow.auth),
            ca_bundle=ca_bundle,
        )

    def _credential(self, namespace: str, auth: MlflowAuth | None) -> Credential:
        if auth is None:
            return None
        if auth.basic is not None:
            name = auth.basic.secret_ref.name
            return BasicAuth(
                self._objects.value("Secret", namespace, name, "username"),
                self._objects.value("Secret", namespace, name, "password"),
            )
        assert auth.bearer is not None
        token = self._objects.value("Secret", namespace, auth.bearer.secret_ref.name, "token")
        return BearerToken(token)
