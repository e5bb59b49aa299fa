"""Shares one MLflow client among all projects with the same server and credential."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache, partial
from types import MappingProxyType
from typing import Final

from feature_lineage.api import FeatureStoreProject
from feature_lineage.api.mlflow_spec import MlflowAuth, MlflowSpec
from feature_lineage.errors import FeatureLineageError, HostNotAllowed
from feature_lineage.objects import Objects, text_of, value_of
from feature_lineage.ports import RegistryAddress
from feature_lineage.tracking.access import Permission
from feature_lineage.tracking.cache_budget import (
    PLATFORM_BYTES,
    TENANTS_BYTES,
    CacheBudget,
    Share,
)
from feature_lineage.tracking.mlflow_server import (
    DEFAULT_WORKSPACE,
    MAX_CACHED_ADDRESSES,
    BasicAuth,
    BearerToken,
    Credential,
    MLflowServer,
    normalized,
)
from feature_lineage.tracking.permitted_registry import (
    Accesses,
    PermittedModels,
    PermittedRegistry,
)
from feature_lineage.tracking.platform_servers import PlatformServer, PlatformServers
from feature_lineage.tracking.registry import MLflowRegistry
from feature_lineage.tracking.registry_cache import OnRegistryChange

CREDENTIAL_AGE: Final = timedelta(seconds=60)
"""A rotated secret is read after this time at the latest."""
UNUSED_AGE: Final = timedelta(minutes=10)
"""An unused client is closed after this time, or after two poll intervals if that is longer."""


@dataclass(frozen=True, slots=True)
class _Resolved:
    """The server of a spec, when its secrets were read, and when it was last used."""

    at: datetime
    server: MLflowServer
    last_used: datetime


class ModelRegistryPool:
    """`ModelRegistries` of both hosts.

    Args:
        objects: reads Secrets and ConfigMaps.
        now: the current time, aware, in UTC.
        platform_servers: by the name of their ``serverRef``.
        allowed: whether a project may name this tracking URI itself; answers are cached.
        on_change: called with the names of registered models, of any server, that have changed.

    Attributes:
        of_platform, of_tenants: the memory of all readings of the platform's servers, and of those
            that projects name themselves.
    """

    def __init__(
        self,
        objects: Objects,
        now: Callable[[], datetime],
        *,
        platform_servers: Mapping[str, PlatformServer] = MappingProxyType({}),
        allowed: Callable[[str], bool] = lambda _: True,
        on_change: OnRegistryChange = lambda _: None,
    ) -> None:
        self._objects = objects
        self._now = now
        self._servers = PlatformServers(platform_servers)
        self._allowed = lru_cache(MAX_CACHED_ADDRESSES)(allowed)
        self._on_change = on_change
        self._registries: dict[MLflowServer, MLflowRegistry] = {}
        self._of_namespaces: dict[MLflowServer, Share] = {}
        self._permitted: dict[tuple[MLflowServer, Accesses], PermittedModels] = {}
        self._resolved: dict[tuple[str, MlflowSpec], _Resolved] = {}
        self._evicted_at = now()
        self.of_platform = CacheBudget(PLATFORM_BYTES)
        self.of_tenants = CacheBudget(TENANTS_BYTES)

    async def of(
        self, project: FeatureStoreProject, namespace: str | None = None
    ) -> MLflowRegistry | PermittedRegistry | None:
        """The client of the server that a project names; None if it names none.

        Args:
            namespace: of a TrainedModel of the project: the models that both may see.

        Raises:
            NotFound: a Secret or ConfigMap does not exist.
            HostNotAllowed: the platform does not allow this address, or has no server of this name
                that the namespace may use for the Feast project.
            AccessRefused: this process may not read the Secret (``SecretForbidden``).
        """
        await self._evict_unused()
        mlflow = project.spec.mlflow
        if mlflow is None:
            return None
        names = self._allowed_names(mlflow)
        accesses = self._servers.accesses(project, names, namespace) if names else None
        server = await self._server(project.metadata.namespace, mlflow)
        registry = self._registries.get(server)
        if registry is None:
            share = self._share(project, server, names)
            share.on_given_up.append(partial(self._forget_views, server))
            registry = MLflowRegistry(server, now=self._now, on_change=self._on_change, share=share)
            self._registries[server] = registry
        if server in self._of_namespaces:
            self._of_namespaces[server].owners.add(project.metadata.namespace)
        if accesses is None:
            return registry
        models = self._permitted.setdefault((server, accesses), PermittedModels(accesses))
        name = mlflow.server_ref or server.tracking_uri
        access = partial(self._servers.access, names)
        home = project.metadata.namespace
        return PermittedRegistry(registry, models, accesses, name, home, access)

    def address_of(
        self, project: FeatureStoreProject, model: str, namespace: str
    ) -> RegistryAddress | None:
        """The model registry in which a TrainedModel of the project may tag a registered model.

        None if `of` refuses the project or it names no server, or if the platform does not allow
        the tags.
        """
        mlflow, home = project.spec.mlflow, project.metadata.namespace
        if mlflow is None:
            return None
        try:
            names = self._allowed_names(mlflow)
            if names:
                accesses = self._servers.accesses(project, names, namespace)
                server = self._servers.of(mlflow, names)
                if not accesses.may(Permission.TAGS, model):
                    return None
                uri, home = normalized(server.tracking_uri), ""
                workspace = mlflow.workspace or server.workspace
            else:
                uri, workspace = normalized(mlflow.tracking_uri or ""), mlflow.workspace or ""
        except FeatureLineageError:
            return None
        return RegistryAddress(uri, workspace or DEFAULT_WORKSPACE, home)

    def open(self) -> tuple[MLflowRegistry, ...]:
        """The clients in use."""
        return tuple(self._registries.values())

    async def close(self) -> None:
        for registry in self._registries.values():
            await registry.close()
        self._registries.clear()
        self._of_namespaces.clear()
        self._permitted.clear()
        self._resolved.clear()

    def _share(
        self, project: FeatureStoreProject, server: MLflowServer, names: tuple[str, ...]
    ) -> Share:
        """The share of a new reading.

        The platform accounts for its servers and workspaces, however a project names them. The
        namespaces that use it account for each other workspace, and for each server and credential
        that their projects name.
        """
        mlflow = project.spec.mlflow
        assert mlflow is not None
        for name in names:
            named = self._servers.of(mlflow, (name,))
            same = mlflow.server_ref is not None or server == named.server()
            if same and server.workspace == named.workspace:
                return self.of_platform.share(name)
        share = self.of_tenants.share(project.metadata.namespace)
        self._of_namespaces[server] = share
        return share

    def _forget_views(self, server: MLflowServer) -> None:
        for (known, _), models in self._permitted.items():
            if known == server:
                models.forget()

    async def _server(self, namespace: str, mlflow: MlflowSpec) -> MLflowServer:
        key, now = (namespace, mlflow), self._now()
        known = self._resolved.get(key)
        if known is not None:
            self._resolved[key] = known = replace(known, last_used=now)
            if now - CREDENTIAL_AGE <= known.at <= now:
                return known.server
        server = await self._read(namespace, mlflow)
        self._resolved[key] = _Resolved(now, server, now)
        if known is not None and known.server != server:
            before = self._registries.get(known.server)
            if before is not None and before.last_view is not None:
                # Models that the new credential cannot see are not reported as changed.
                self._on_change(before.last_view.versions.keys())
            await self._close_unused()
        return server

    async def _evict_unused(self) -> None:
        """Drop readings and credentials that no project uses any more."""
        now = self._now()
        if self._evicted_at <= now < self._evicted_at + CREDENTIAL_AGE:
            return
        self._evicted_at = now
        self._resolved = {
            (namespace, mlflow): resolved
            for (namespace, mlflow), resolved in self._resolved.items()
            if now - resolved.last_used <= max(UNUSED_AGE, 2 * mlflow.poll_interval)
        }
        await self._close_unused()

    async def _close_unused(self) -> None:
        used = defaultdict[MLflowServer, set[str]](set)
        for (namespace, _), resolved in self._resolved.items():
            used[resolved.server].add(namespace)
        unused = [server for server in self._registries if server not in used]
        for server in self._of_namespaces.keys() - used.keys():
            del self._of_namespaces[server]
        for server, share in self._of_namespaces.items():
            share.owners = used[server]
        for key in [key for key in self._permitted if key[0] not in used]:
            del self._permitted[key]
        for registry in [self._registries.pop(server) for server in unused]:
            await registry.close()

    async def _read(self, namespace: str, mlflow: MlflowSpec) -> MLflowServer:
        if mlflow.tracking_uri is None:
            server = self._servers.of(mlflow, self._servers.names(mlflow)).server()
            return replace(server, workspace=mlflow.workspace or server.workspace)
        ca_bundle = (
            await text_of(self._objects, namespace, mlflow.ca_bundle) if (mlflow.ca_bundle) else ""
        )
        return MLflowServer(
            tracking_uri=mlflow.tracking_uri,
            workspace=mlflow.workspace or "",
            credential=await self._credential(namespace, mlflow.auth),
            ca_bundle=ca_bundle,
        )

    def _allowed_names(self, mlflow: MlflowSpec) -> tuple[str, ...]:
        """The platform's names of a server; its address is checked before anything else is told."""
        if mlflow.tracking_uri and not self._allowed(
            tracking_uri := normalized(mlflow.tracking_uri)
        ):
            raise HostNotAllowed(
                f"spec.mlflow.trackingUri {tracking_uri} is not among the platform's "
                "allowedTrackingUris; use one of them, a serverRef, or ask the team that runs "
                "the operator"
            )
        return self._servers.names(mlflow)

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
