"""What Feast needs in a request for features: keys, their types, and data of the request."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from feast import utils
from feast.feature_view import DUMMY_ENTITY_ID
from feast.value_type import ValueType

from feature_lineage.shorten import listed


@dataclass(frozen=True)
class ViewRequest:
    """One view that is read for a request.

    Attributes:
        view: Feast's view.
        name: in full names of columns: the alias in the service, else the view.
        features: that are asked for; none of a view that only an on-demand view reads.
        columns: join key → its name in the request; a view without entities has none.
    """

    view: Any
    name: str
    features: tuple[str, ...]
    columns: Mapping[str, str]


@dataclass(frozen=True)
class RequestContext:
    """The request for a feature service or a list of features.

    Attributes:
        views: that are read, sources of on-demand views included.
        types: by name in the request, of keys.
        data: by name in the request, of other values.
        computed: columns of the answer that on-demand views compute, of those that are asked for.
        full: whether columns have full names.
    """

    views: tuple[ViewRequest, ...]
    types: Mapping[str, ValueType]
    data: Mapping[str, ValueType]
    computed: frozenset[str]
    full: bool

    def column(self, view: ViewRequest, feature: str) -> str:
        """The name of a column in the answer."""
        return column_name(view.name, feature, full=self.full)

    def left_out(self, columns: Iterable[str]) -> str:
        """What an answer with these columns lacks; "" if nothing. Feast raises no error then."""
        lost = sorted(self.computed.difference(columns))
        form = f"the answer with full_feature_names={self.full} has no column "
        return form + listed(lost, 3) if lost else ""


def column_name(view: str, feature: str, *, full: bool) -> str:
    """The name of a column in Feast's answer.

    Args:
        view: the alias in the service, else the view.
    """
    return f"{view}__{feature}" if full else feature


def request_context(
    registry: Any, project: str, features: Any, entities: Mapping[str, Any], *, full: bool
) -> RequestContext:
    """What to ask with.

    Args:
        features: a feature service of Feast, or a list of references.
        entities: of the registry, by name.
        full: whether columns have full names.

    Raises:
        Exception: Feast's error, if it cannot serve the features.
    """
    context = utils._get_cached_request_context(registry, project, features, full)
    refs, on_demand, types, read = context[0], context[1], context[3], context[5]
    # Not those of the projection: of a list of features, Feast keeps each view as a whole.
    asked: dict[str, list[str]] = {}
    for ref in refs:
        name, version, feature = utils._parse_feature_ref(ref)
        asked.setdefault(name if version is None else f"{name}@v{version}", []).append(feature)
    views = []
    for view, _ in read:
        columns = {}
        for entity_name in view.entities:
            entity = entities[entity_name]
            key = view.projection.join_key_map.get(entity.join_key, entity.join_key)
            types.setdefault(key, entity.value_type)
            if key != DUMMY_ENTITY_ID:
                columns[entity.join_key] = key
        name = view.projection.name_to_use()
        views.append(ViewRequest(view, name, tuple(asked.get(name, ())), columns))
    data: dict[str, ValueType] = {}
    for view in on_demand:
        data |= view.get_request_data_schema()
    computed = frozenset(
        column_name(name, feature, full=full)
        for name in {view.projection.name_to_use() for view in on_demand}
        for feature in asked.get(name, ())
    )
    return RequestContext(tuple(views), types, data, computed, full)
