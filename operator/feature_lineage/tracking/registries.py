"""One MLflow client for all resources that name the same server with the same credential."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from feature_lineage.api import FeatureStoreProject
from feature_lineage.api.project_spec import MlflowAuth, MlflowSpec
from feature_lineage.errors import AccessRefused, NotFound
from feature_lineage.objects import Objects, text_of, value_of
from feature_lineage.tracking.registry import MLflowRegistry
from feature_lineage.tracking.server import BasicAuth, BearerToken, Credential, MLflowServer

CREDENTIAL_AGE: Final = timedelta(seconds=60)
"""A secret that was rotated is noticed after this time at the latest."""


@dataclass(frozen=True, slots=True)
class _Resolved:
    """What a spec stood for, and when its secrets were read."""

    at: datetime
    server: MLflowServer


class SharedRegistries:
    """`ModelRegistries` of both hosts.

    Args:
        objects: Secrets and ConfigMaps.
        now: the present, aware, in UTC.
        named: what a ``serverRef`` stands for; called each time, since its files may change.
        allowed: whether a project may name this tracking URI itself.
    """

    def __init__(
        self,
        objects: Objects,
        now: Callable[[], datetime],
        *,
        named: Callable[[str], MLflowServer | None] = lambda _: None,
        allowed: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._objects = objects
        self._now = now
        self._named = named
        self._allowed = allowed
        self._registries: dict[MLflowServer, MLflowRegistry] = {}
        self._resolved: dict[tuple[str, MlflowSpec], _Resolved] = {}

    async def of(self, project: FeatureStoreProject) -> MLflowRegistry | None:
        """The server a project names, shared by all that name it alike; None when it names none.

        Raises:
            NotFound: a secret, config map or named server is not there.
            AccessRefused: the platform does not allow this server (``HostNotAllowed``), or does not
                let this process read the secret (``SecretForbidden``).
        """
        mlflow = project.spec.mlflow
        if mlflow is None:
            return None
        server = await self._server(project.metadata.namespace, mlflow)
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
        self._resolved.clear()

    async def _server(self, namespace: str, mlflow: MlflowSpec) -> MLflowServer:
        key, now = (namespace, mlflow), self._now()
        known = self._resolved.get(key)
        if known is not None and now - CREDENTIAL_AGE <= known.at <= now:
            return known.server
        server = await self._read(namespace, mlflow)
        self._resolved[key] = _Resolved(now, server)
        if known is not None and known.server != server:
            await self._retire(known.server)
        return server

    async def _retire(self, server: MLflowServer) -> None:
        """A credential was rotated: what nobody resolves to any more is closed."""
        if all(resolved.server != server for resolved in self._resolved.values()):
            registry = self._registries.pop(server, None)
            if registry is not None:
                await registry.close()

    async def _read(self, namespace: str, mlflow: MlflowSpec) -> MLflowServer:
        if mlflow.tracking_uri is None:
            return self._server_named(mlflow)
        ca_bundle = (
            await text_of(self._objects, namespace, mlflow.ca_bundle) if (mlflow.ca_bundle) else ""
        )
        server = MLflowServer(
            tracking_uri=mlflow.tracking_uri,
            workspace=mlflow.workspace or "",
            credential=await self._credential(namespace, mlflow.auth),
            ca_bundle=ca_bundle,
        )
        if not self._allowed(server.tracking_uri):
            raise AccessRefused(
                f"spec.mlflow.trackingUri {server.tracking_uri} is not among the platform's "
                "allowedTrackingUris; use one of them, a serverRef, or ask who runs the operator",
                reason="HostNotAllowed",
            )
        return server

    def _server_named(self, mlflow: MlflowSpec) -> MLflowServer:
        server = self._named(mlflow.server_ref or "")
        if server is None:
            raise NotFound(
                f"spec.mlflow.serverRef {mlflow.server_ref!r} names no server of the platform's "
                "chart values (a local host has none); use another, or spec.mlflow.trackingUri",
                reason="HostNotAllowed",
            )
        return MLflowServer(
            tracking_uri=server.tracking_uri,
            workspace=mlflow.workspace or server.workspace,
            credential=server.credential,
            ca_bundle=server.ca_bundle,
        )

    async def _credential(self, namespace: str, auth: MlflowAuth | None) -> Credential:
        if auth is None:
            return None
        if auth.basic is not None:
            name = auth.basic.secret_ref.name
            return BasicAuth(
                await value_of(self._objects, "Secret", namespace, name, "username"),
                await value_of(self._objects, "Secret", namespace, name, "password"),
            )
        assert auth.bearer is not None
        name = auth.bearer.secret_ref.name
        return BearerToken(await value_of(self._objects, "Secret", namespace, name, "token"))
