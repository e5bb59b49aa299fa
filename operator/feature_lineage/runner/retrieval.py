"""One retrieval from the online store, which others are compared with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from feast import FeatureStore
from feast.protos.feast.serving.ServingService_pb2 import FieldStatus

from feature_lineage.runner.probe_rows import Rows
from feature_lineage.runner.request_context import RequestContext


@dataclass(frozen=True)
class Retrieval:
    """A retrieval from the online store.

    Attributes:
        features: as Feast takes them.
        columns: the answer: name → Feast's FeatureVector.
    """

    features: Any
    context: RequestContext
    asked: Rows
    columns: Mapping[str, Any]


def retrieve(
    store: FeatureStore, features: Any, rows: list[dict[str, Any]], *, full: bool
) -> dict[str, Any]:
    """The answer of Feast: name of a column → FeatureVector."""
    answer = store.get_online_features(features, rows, full_feature_names=full).proto
    return dict(zip(answer.metadata.feature_names.val, answer.results, strict=True))


def has_row(vector: Any, number: int) -> bool:
    """Whether the store has the value, or a null, that is not past its TTL."""
    return vector.statuses[number] in (FieldStatus.PRESENT, FieldStatus.NULL_VALUE)
