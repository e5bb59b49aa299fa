"""Reads a project from a Feast registry server (``registry_type: remote``).

The objects in the answer to Feast's `Proto` call name no project, so each kind is listed for the
project. The messages are taken as they arrive:
Feast's `list_*` methods would run the stored code of on-demand views.
"""

from collections.abc import Iterator
from typing import Any, Final

from feast.errors import FeastError
from feast.infra.registry.remote import RemoteRegistry
from feast.protos.feast.core.Registry_pb2 import Registry
from feast.protos.feast.registry import RegistryServer_pb2 as messages
from feast.repo_config import RepoConfig
from grpc import RpcError

from feature_lineage.runner.canonical import SECTIONS, spec_of
from feature_lineage.runner.errors import RegistryUnreadable, error_line

PAGE: Final = 200
"""Objects of one answer: gRPC refuses answers of more than 4 MiB."""
_TIMEOUT: Final = 60.0
_KINDS: Final = (*SECTIONS, "projects")


def read_server(config: RepoConfig) -> Any:
    """The project as a ``Registry`` message, past the cache of the server.

    Raises:
        RegistryUnreadable: the server does not answer, or refuses.
    """
    registry = config.registry
    proto = Registry()
    try:
        server = RemoteRegistry(registry, config.project, None, config.auth_config)
        try:
            for kind in _KINDS:
                for message in _listed(server.stub, kind, config.project):
                    getattr(proto, kind).append(message)
        finally:
            server.close()
    except RpcError as error:
        # A call that failed is an error, too.
        state = f"{error.code().name}: {error.details()}"
        raise _unreadable(registry.path, state) from error
    except (FeastError, OSError, ValueError) as error:
        raise _unreadable(registry.path, error_line(error)) from error
    return proto


def _listed(stub: Any, kind: str, project: str) -> Iterator[Any]:
    """All objects of one kind of the project; of projects, this one."""
    name = "".join(word.title() for word in kind.split("_"))
    of_project = {} if kind == "projects" else {"project": project}
    by_name = messages.SortingParams(sort_by="name", sort_order="asc")
    page, more = 0, True
    while more:
        page += 1
        request = getattr(messages, f"List{name}Request")(
            allow_cache=False,
            pagination=messages.PaginationParams(page=page, limit=PAGE),
            sorting=by_name,
            **of_project,
        )
        answer = getattr(stub, f"List{name}")(request, timeout=_TIMEOUT)
        more = answer.pagination.has_next
        for message in getattr(answer, kind):
            if kind != "projects":
                spec_of(message).project = project  # some answers leave it out
                yield message
            elif message.spec.name == project:
                yield message


def _unreadable(address: str, why: str) -> RegistryUnreadable:
    return RegistryUnreadable(
        f"the registry server at {address} (registry_type: remote) cannot be read: {why}; "
        "is the server running, and may this client list the project?"
    )
