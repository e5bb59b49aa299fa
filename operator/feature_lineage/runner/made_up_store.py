"""An online store whose values are made up by type: runs Feast's serving code on any registry.

`OnlineStore.get_online_features` of Feast's base class is all of Feast's serving logic, and takes
any registry. Only the rows come from `online_read`. No real online store is read.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

from feast.infra.online_stores.online_store import OnlineStore
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.protos.feast.types.Value_pb2 import Value
from feast.type_map import python_values_to_proto_values
from feast.value_type import ValueType

_MOMENT: Final = datetime(2020, 1, 1, tzinfo=UTC)


class MadeUpStore(OnlineStore):  # type: ignore[misc]  # Feast has no types
    """Answers each read with one made-up value per requested feature."""

    _versioned_read_supported = True  # whether the real store supports it is not asked here

    def online_read(
        self,
        config: Any,  # noqa: ARG002  Feast's signature
        table: Any,
        entity_keys: Sequence[Any],
        requested_features: list[str] | None = None,
    ) -> list[tuple[datetime | None, dict[str, Any] | None]]:
        fields = {field.name: field for field in table.features}
        row = {
            name: _value_of(fields[name]) for name in requested_features or fields if name in fields
        }
        return [(_MOMENT, dict(row)) for _ in entity_keys]

    def online_write_batch(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError

    def update(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError

    def teardown(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError


def sample(value_type: ValueType) -> Any:
    """A value of a Feast type; None for a type without one.

    It is the value with which Feast runs an on-demand function when it is applied, so a function
    that fails with it was not applied through Feast.
    """
    return _samples().get(value_type, [None])[0]


@cache
def _samples() -> dict[ValueType, list[Any]]:
    samples: dict[ValueType, list[Any]] = OnDemandFeatureView._get_sample_values_by_type(None)
    return samples


def _value_of(field: Any) -> Value:
    value_type = field.dtype.to_value_type()
    value = sample(value_type)
    if isinstance(value, list) and field.vector_length:
        value = value * field.vector_length
    proto = Value() if value is None else python_values_to_proto_values([value], value_type)[0]
    assert isinstance(proto, Value)
    return proto
