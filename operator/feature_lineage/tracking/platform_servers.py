"""The MLflow servers of the platform, and who may use them, however a project names them."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final, Protocol

from feature_lineage.api import FeatureStoreProject
from feature_lineage.api.mlflow_spec import MlflowSpec
from feature_lineage.errors import HostNotAllowed, InvalidManifest
from feature_lineage.tracking.access import Access, AccessEntry, access_of
from feature_lineage.tracking.mlflow_server import DEFAULT_WORKSPACE, MLflowServer, normalized
from feature_lineage.tracking.permitted_registry import Accesses
from feature_lineage.tracking.place import Place, place_of

MAX_CACHED_ACCESSES: Final = 4096
"""Accesses of namespaces in the cache."""


class PlatformServer(Protocol):
    """An MLflow server that the platform's configuration names."""

    @property
    def tracking_uri(self) -> str: ...

    @property
    def workspace(self) -> str: ...

    @property
    def access(self) -> tuple[AccessEntry, ...]:
        """Which namespaces may use the server, for what; does not change."""
        ...

    def server(self) -> MLflowServer:
        """The server with its credential, which is read at each call: its files may change."""
        ...


class PlatformServers:
    """Finds the servers of a project on the platform's list, and what the project may do there.

    Args:
        servers: by the name of their ``serverRef``.
    """

    def __init__(self, servers: Mapping[str, PlatformServer]) -> None:
        self._servers = servers
        self._access = lru_cache(MAX_CACHED_ACCESSES)(self._access_of)

    def names(self, mlflow: MlflowSpec) -> tuple[str, ...]:
        """The names of the server that a project uses; () if it is not the platform's.

        A ``trackingUri`` may lead to a server of the platform, too: to every server at that place
        whose workspace is that of the project, or any.

        Raises:
            InvalidManifest: the ``trackingUri`` does not parse.
        """
        if mlflow.tracking_uri is None:
            return (mlflow.server_ref or "",)
        place = place_of(normalized(mlflow.tracking_uri))
        workspace = mlflow.workspace or DEFAULT_WORKSPACE
        return tuple(
            name
            for name, server in self._servers.items()
            if server.workspace in ("", workspace) and _place(server) == place
        )

    def access(self, names: tuple[str, ...], namespace: str, feast_project: str) -> Access | None:
        """What all these names give to a namespace with a Feast project; None: nothing."""
        return self._access(names, namespace, feast_project)

    def accesses(
        self, project: FeatureStoreProject, names: tuple[str, ...], namespace: str | None
    ) -> Accesses:
        """The access of a project's namespace and, if given, of the namespace of a TrainedModel.

        Args:
            names: of the project's server.

        Raises:
            HostNotAllowed: the platform has no server of these names that they may use.
        """
        home = project.metadata.namespace
        found = []
        for each in dict.fromkeys((home, namespace or home)):
            access = self._access(names, each, project.spec.project)
            if access is None:
                raise _refused(project, each)
            found.append(access)
        return Accesses(tuple(dict.fromkeys(found)))

    def of(self, mlflow: MlflowSpec, names: tuple[str, ...]) -> PlatformServer:
        """The server of a project that may use it, the first one of these names.

        Raises:
            HostNotAllowed: the spec names another workspace than the platform gives to the server.
        """
        server = self._servers.get(names[0])
        if server is None:
            raise HostNotAllowed(f"spec.mlflow.serverRef {mlflow.server_ref!r} names no server")
        if server.workspace and mlflow.workspace not in {None, server.workspace}:
            raise HostNotAllowed(
                f"spec.mlflow.workspace {mlflow.workspace!r} is not the workspace that the "
                f"platform gives to server {mlflow.server_ref}: {server.workspace!r}; "
                "leave it out, or ask who runs the operator"
            )
        return server

    def _access_of(
        self, names: tuple[str, ...], namespace: str, feast_project: str
    ) -> Access | None:
        entries = [entry for name in names for entry in self._entries(name)]
        return access_of(entries, namespace, feast_project)

    def _entries(self, name: str) -> tuple[AccessEntry, ...]:
        server = self._servers.get(name)
        return server.access if server is not None else ()


def _place(server: PlatformServer) -> Place | None:
    """None for an address to which nobody connects."""
    try:
        return place_of(normalized(server.tracking_uri))
    except InvalidManifest:
        return None


def _refused(project: FeatureStoreProject, namespace: str) -> HostNotAllowed:
    """The error for a server that a namespace may not use: that of one that does not exist."""
    mlflow = project.spec.mlflow
    uri = mlflow.tracking_uri if mlflow is not None else None
    if mlflow is not None and uri is not None:
        return HostNotAllowed(
            f"spec.mlflow.trackingUri {uri} is the address of a server of the platform, and no "
            f"entry of mlflowServers[].access gives the server to namespace {namespace} for the "
            f"Feast project {project.spec.project}; ask who runs the operator for an entry"
        )
    return HostNotAllowed(
        f"spec.mlflow.serverRef {mlflow.server_ref if mlflow else None!r} names no server that the "
        f"platform's chart values (mlflowServers[].access) give to namespace {namespace} for the "
        f"Feast project {project.spec.project} (a local host has none); ask who runs the operator "
        "for an entry, or use spec.mlflow.trackingUri"
    )
