"""Reads a project from a Feast registry server (``registry_type: remote``).

The objects in the answer to Feast's `Proto` call name no project, so each kind is listed for the
project. The messages are taken as they arrive:
Feast's `list_*` methods would run the stored code of on-demand views.
"""

from collections.abc import Iterator
from typing import Any, Final

from feast.errors import FeastError, FeastObjectNotFoundException, FeastPermissionError
from feast.infra.registry.remote import RemoteRegistry
from feast.protos.feast.core.Registry_pb2 import Registry
from feast.protos.feast.registry import RegistryServer_pb2 as messages
from feast.repo_config import RepoConfig
from grpc import RpcError, StatusCode

from feature_lineage.runner.canonical import DUMMY_ENTITY, SECTIONS, canonical, spec_of
from feature_lineage.runner.errors import RegistryUnreadable, error_line
from feature_lineage.shorten import listed

PAGE: Final = 256
"""Objects of the first answer: gRPC refuses answers of more than 4 MiB, then half are asked for."""
_RELATIONS: Final = 16_384
"""As `PAGE`, of pairs of names: the server computes all of them for each page."""
READINGS: Final = 4
"""A project is read until two readings are equal; then no answer is of another moment."""
_TIMEOUT: Final = 60.0
_MAX_NAMED: Final = 5
_KINDS: Final = (*SECTIONS, "projects")
_ALIVE: Final = "is the server running, and may this client list the project?"
_DESCRIBE: Final = "permit DESCRIBE on the whole project to this client"
_STEPS: Final = {
    StatusCode.RESOURCE_EXHAUSTED: (
        "gRPC refuses an object of this size: name the registry behind the server"
    ),
    StatusCode.UNIMPLEMENTED: (
        "it is no registry server of Feast 0.67: run `feast serve_registry` of that version"
    ),
}
# Type of an object in the answer to `GetRegistryLineage` → the kinds under which it is listed,
# and the call that gets one object.
_NAMED: Final = {
    "entity": (("entities",), "Entity"),
    "dataSource": (("data_sources",), "DataSource"),
    "featureView": (
        ("feature_views", "stream_feature_views", "on_demand_feature_views"),
        "AnyFeatureView",
    ),
    "labelView": (("label_views",), "LabelView"),
    "featureService": (("feature_services",), "FeatureService"),
}


def read_server(config: RepoConfig) -> Any:
    """The project as a ``Registry`` message, past the cache of the server.

    Raises:
        RegistryUnreadable: the server does not answer, refuses, or leaves out an object; or the
            project changes while it is read.
    """
    registry, project = config.registry, config.project
    try:
        server = RemoteRegistry(registry, project, None, config.auth_config)
        try:
            proto = _read_unchanged(server.stub, project)
            # A server that asks for authorization refuses a client without it.
            restricted = proto is not None and config.auth_config.type != "no_auth"
            hidden = _hidden(server.stub, proto, project) if restricted else []
        finally:
            server.close()
    except RpcError as error:
        # A call that failed is an error, too.
        state, step = f"{error.code().name}: {error.details()}", _STEPS.get(error.code(), _ALIVE)
        raise _unreadable(registry.path, state, step) from error
    except (FeastError, OSError, ValueError) as error:
        step = _DESCRIBE if isinstance(error, FeastPermissionError) else _ALIVE
        raise _unreadable(registry.path, error_line(error), step) from error
    if proto is None:
        why = f"project {project!r} changed between any two of {READINGS} readings"
        raise _unreadable(registry.path, why, "the next attempt reads it again")
    if hidden:
        why = f"the server does not show {listed(hidden, _MAX_NAMED)}"
        raise _unreadable(registry.path, why, _DESCRIBE)
    return proto


def _read_unchanged(stub: Any, project: str) -> Any:
    """The project, all of it of one moment; None if it never stays the same."""
    before: object = None
    for _ in range(READINGS):
        proto = Registry()
        for kind in _KINDS:
            getattr(proto, kind).extend(_listed(stub, kind, project))
        now = [
            (kind, canonical(item, SECTIONS[kind]))
            for kind in SECTIONS
            for item in getattr(proto, kind)
        ]
        if now == before:
            return proto
        before = now
    return None


def _listed(stub: Any, kind: str, project: str) -> Iterator[Any]:
    """All objects of one kind of the project; of projects, this one."""
    of_project = {} if kind == "projects" else {"project": project}
    by_name = messages.SortingParams(sort_by="name", sort_order="asc")
    call = "List" + "".join(word.title() for word in kind.split("_"))
    for answer in _pages(stub, call, PAGE, "pagination", sorting=by_name, **of_project):
        for message in getattr(answer, kind):
            if kind != "projects":
                spec_of(message).project = project  # some answers leave it out
                yield message
            elif message.spec.name == project:
                yield message


def _pages(stub: Any, call: str, limit: int, pagination: str, **fields: Any) -> Iterator[Any]:
    """The answers to a call, page by page.

    Args:
        limit: objects of a page; a power of two.
        pagination: field of the answer that says whether there are more.
    """
    page, more = 1, True
    while more:
        request = getattr(messages, f"{call}Request")(
            allow_cache=False,
            pagination=messages.PaginationParams(page=page, limit=limit),
            **fields,
        )
        try:
            answer = getattr(stub, call)(request, timeout=_TIMEOUT)
        except RpcError as error:
            if error.code() is not StatusCode.RESOURCE_EXHAUSTED or limit == 1:
                raise
            page, limit = 2 * page - 1, limit // 2
            continue
        yield answer
        page, more = page + 1, getattr(answer, pagination).has_next


def _hidden(stub: Any, proto: Any, project: str) -> list[str]:
    """Objects of the project that are not listed, because the client may not describe them.

    Feast leaves them out of each list without an error. The names in its graph of a project are
    not filtered; a name alone may be that of an object that is gone.
    """
    shown = {
        (kind, spec_of(item).name)
        for kind, (sections, _) in _NAMED.items()
        for section in sections
        for item in getattr(proto, section)
    }
    graph = _pages(
        stub, "GetRegistryLineage", _RELATIONS, "relationships_pagination", project=project
    )
    named = {
        (end.type, end.name)
        for answer in graph
        for relation in answer.relationships
        for end in (relation.source, relation.target)
        if end.type in _NAMED and end.name != DUMMY_ENTITY
    }
    return [
        f"{kind} {name!r}"
        for kind, name in sorted(named - shown)
        if not _may_describe(stub, _NAMED[kind][1], name, project)
    ]


def _may_describe(stub: Any, kind: str, name: str, project: str) -> bool:
    """False if the object exists, and Feast refuses to describe it."""
    request = getattr(messages, f"Get{kind}Request")(name=name, project=project, allow_cache=False)
    try:
        getattr(stub, f"Get{kind}")(request, timeout=_TIMEOUT)
    except FeastPermissionError:
        return False
    except FeastObjectNotFoundException:
        pass
    return True


def _unreadable(address: str, why: str, step: str) -> RegistryUnreadable:
    return RegistryUnreadable(
        f"the registry server at {address} (registry_type: remote) cannot be read: {why}; {step}"
    )
