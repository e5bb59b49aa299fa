"""The MLflow servers of the platform, and who may use them: what a ``serverRef`` leads to."""

from collections.abc import Callable
from functools import lru_cache
from typing import Final, Protocol

from feature_lineage.api import FeatureStoreProject
from feature_lineage.api.mlflow_spec import MlflowSpec
from feature_lineage.errors import HostNotAllowed
from feature_lineage.tracking.access import Access, AccessEntry, access_of
from feature_lineage.tracking.mlflow_server import MLflowServer
from feature_lineage.tracking.permitted_registry import Accesses

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
    """Finds the server of a project with ``serverRef``, and what the project may do there.

    Args:
        named: the server of a name, None if unknown.
    """

    def __init__(self, named: Callable[[str], PlatformServer | None]) -> None:
        self._named = named
        self._access = lru_cache(MAX_CACHED_ACCESSES)(self._access_of)

    def access(self, name: str, namespace: str, feast_project: str) -> Access | None:
        """The access of a namespace with a Feast project; None: none, or no such server."""
        return self._access(name, namespace, feast_project)

    def accesses(self, project: FeatureStoreProject, namespace: str | None) -> Accesses:
        """The access of a project's namespace and, if given, of the namespace of a TrainedModel.

        Raises:
            HostNotAllowed: the platform has no server of that name that they may use.
        """
        mlflow, home = project.spec.mlflow, project.metadata.namespace
        name = mlflow.server_ref or "" if mlflow is not None else ""
        found = []
        for each in dict.fromkeys((home, namespace or home)):
            access = self._access(name, each, project.spec.project)
            if access is None:
                # A server that a namespace may not use is refused like one that does not exist.
                raise HostNotAllowed(
                    f"spec.mlflow.serverRef {name!r} names no server that the platform's chart "
                    f"values (mlflowServers[].access) give to namespace {each} for the Feast "
                    f"project {project.spec.project} (a local host has none); ask who runs the "
                    "operator for an entry, or use spec.mlflow.trackingUri"
                )
            found.append(access)
        return Accesses(tuple(dict.fromkeys(found)))

    def of(self, mlflow: MlflowSpec) -> PlatformServer:
        """The server of a ``serverRef`` that the project may use.

        Raises:
            HostNotAllowed: the spec names another workspace than the platform gives to the server.
        """
        server = self._named(mlflow.server_ref or "")
        if server is None:
            raise HostNotAllowed(f"spec.mlflow.serverRef {mlflow.server_ref!r} names no server")
        if server.workspace and mlflow.workspace not in {None, server.workspace}:
            raise HostNotAllowed(
                f"spec.mlflow.workspace {mlflow.workspace!r} is not the workspace that the "
                f"platform gives to server {mlflow.server_ref}: {server.workspace!r}; "
                "leave it out, or ask who runs the operator"
            )
        return server

    def _access_of(self, name: str, namespace: str, feast_project: str) -> Access | None:
        server = self._named(name)
        return access_of(server.access, namespace, feast_project) if server is not None else None
