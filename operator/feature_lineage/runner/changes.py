"""The objects that an apply writes, and Feast's own methods that write them.

Deletions go first, because a view may be replaced by one of another kind with the same name.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from feast.errors import FeastError
from feast.feature_view import DUMMY_ENTITY
from feast.repo_contents import RepoContents

from feature_lineage.features.delta import ObjectDelta
from feature_lineage.runner.errors import InvalidRepo, error_line
from feature_lineage.runner.owner import OWNER_TAG, SERVICES_TAG


@dataclass(frozen=True)
class Changes:
    """The objects to write.

    Attributes:
        contents: the repo's live objects, inferred.
        deltas: the differences; only these objects are written.
        owner: the owner record to write; "" for none.
        services: the globs of protected services to record; "" for none.
    """

    contents: RepoContents
    deltas: tuple[ObjectDelta, ...]
    owner: str
    services: str = ""

    def write(self, registry: Any, project: str) -> None:
        """Make the changes through Feast's own registry methods, which keep versions and dates.

        Raises:
            InvalidRepo: Feast refuses one of the objects.
        """
        try:
            self._write(registry, project)
        except (FeastError, ValueError) as error:
            raise InvalidRepo(f"Feast refuses to register it: {error_line(error)}") from error

    def _write(self, registry: Any, project: str) -> None:
        contents = self.contents
        described = contents.projects[0]
        records = {OWNER_TAG: self.owner, SERVICES_TAG: self.services}
        written = {tag: record for tag, record in records.items() if record}
        if written:
            described.tags = {**described.tags, **written}
        registry.apply_project(described, commit=False)
        for item in self.deltas:
            if item.now is None:
                _delete(registry, item, project)
        for source in self._changed("data_source", contents.data_sources):
            registry.apply_data_source(source, project=project, commit=False)
        for kind, views in (
            ("feature_view", contents.feature_views),
            ("on_demand_feature_view", contents.on_demand_feature_views),
            ("stream_feature_view", contents.stream_feature_views),
            ("label_view", contents.label_views),
        ):
            for view in self._changed(kind, views):
                registry.apply_feature_view(view, project=project, commit=False)
        for entity in (*self._changed("entity", contents.entities), DUMMY_ENTITY):
            registry.apply_entity(entity, project=project, commit=False)
        for service in self._changed("feature_service", contents.feature_services):
            registry.apply_feature_service(service, project=project, commit=False)
        for permission in self._changed("permission", contents.permissions):
            registry.apply_permission(permission, project=project, commit=False)

    def _changed(self, kind: str, objects: list[Any]) -> Iterator[Any]:
        left = {item.name for item in self.deltas if item.kind == kind and item.now is not None}
        for item in objects:
            if item.name in left:
                left.discard(item.name)
                yield item


def _delete(registry: Any, item: ObjectDelta, project: str) -> None:
    match item.kind:
        case "entity":
            registry.delete_entity(item.name, project=project, commit=False)
        case "data_source":
            registry.delete_data_source(item.name, project=project, commit=False)
        case "feature_service":
            registry.delete_feature_service(item.name, project=project, commit=False)
        case "permission":
            registry.delete_permission(item.name, project=project, commit=False)
        case _:
            registry.delete_feature_view(item.name, project=project, commit=False)
