"""Entity keys from the newest rows of a source, for a view that somebody else materializes.

One bounded read: of a file, row groups until the watermark; of PostgreSQL, one query with LIMIT.
Other sources may send a bill for each query; they are not read.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from feast import FeatureStore
from feast.feature_view import DUMMY_ENTITY_ID, DUMMY_ENTITY_VAL
from feast.utils import _convert_arrow_to_proto, _get_column_names, _run_pyarrow_field_mapping

from feature_lineage.operations.sampled_keys import SampledKeys, SourceKeys
from feature_lineage.runner.dry_retrieval import within
from feature_lineage.runner.errors import error_line
from feature_lineage.runner.job import Job, watermarks
from feature_lineage.runner.reader import Reading, views_of
from feature_lineage.runner.written_rows import KeySample
from feature_lineage.shorten import one_line, visible

MAX_ROWS: Final = 10_000
MAX_VALUES: Final = 200_000
"""Of one view: rows times features that become objects."""
MAX_SECONDS: Final = 60.0
_MAX_WORDS: Final = 200


def read_sources(
    job: Job, reading: Reading, store: FeatureStore, wanted: frozenset[str], most: int
) -> Iterator[SourceKeys]:
    """The keys of each wanted view that has a watermark, or why they cannot be read.

    Args:
        most: keys of one view.
    """
    for _, message in views_of(reading.proto, job.project):
        name, (until, _) = message.spec.name, watermarks(message)
        if name not in wanted or until is None:
            continue
        try:
            with within(MAX_SECONDS):
                yield SourceKeys(view=name, keys=source_keys(store, name, until, most))
        except BaseException as error:  # noqa: BLE001  as for a retrieval: any error is an answer
            words = one_line(visible(error_line(error)), _MAX_WORDS)
            yield SourceKeys(view=name, error=words)


def source_keys(store: FeatureStore, name: str, until: datetime, most: int) -> SampledKeys | None:
    """Keys of the newest rows that are not newer than `until`; None if there are none.

    Raises:
        ValueError: rows of this view or source cannot be read at a bounded cost.
    """
    view: Any = store.get_feature_view(name)
    source = view.batch_source
    if getattr(view, "feature_transformation", None) or getattr(view, "aggregations", None):
        raise ValueError("the rows of the view are computed from its source")
    read = _READERS.get(type(source).__name__)
    if read is None:
        raise ValueError(f"a {type(source).__name__} is not read for a probe")
    entities = [store.get_entity(entity) for entity in view.entities if entity != DUMMY_ENTITY_ID]
    keys, features, moment, _ = _get_column_names(view, entities)
    rows = max(most, min(MAX_ROWS, MAX_VALUES // max(len(features), 1)))
    table = read(store, source, [*keys, *features, moment], moment, until, rows)
    if not table.num_rows:
        return None
    table = _run_pyarrow_field_mapping(table.combine_chunks(), source.field_mapping)
    if not keys:
        table = table.append_column(DUMMY_ENTITY_ID, pa.array([DUMMY_ENTITY_VAL] * len(table)))
    types = {entity.name: entity.dtype.to_value_type() for entity in view.entity_columns}
    sample = KeySample(most)
    # The newest row of a key is added last, and stays.
    for key, values, at, _ in sorted(
        _convert_arrow_to_proto(table, view, types), key=lambda row: row[2]
    ):
        sample.add(key, values, at if at.tzinfo else at.replace(tzinfo=UTC))
    return sample.keys


def _of_file(
    store: FeatureStore, source: Any, columns: list[str], moment: str, until: datetime, most: int
) -> Any:
    path = source.get_uri_for_file_path(store.repo_path, source.path)
    credentials = source.resolve_credentials()
    system, path = source.create_filesystem_and_path(path, source.s3_endpoint_override, credentials)
    data = ds.dataset(path, filesystem=system, format="parquet")
    kind = data.schema.field(moment).type
    limit = pa.scalar(until if getattr(kind, "tz", None) else until.replace(tzinfo=None))
    newest = data.schema.empty_table().select(columns)
    for batch in data.to_batches(columns=columns, filter=pc.field(moment) <= limit.cast(kind)):
        newest = pa.concat_tables([newest, pa.Table.from_batches([batch])])
        if len(newest) > most:
            newest = newest.take(pc.select_k_unstable(newest, most, [(moment, "descending")]))
    return newest


def _of_postgres(
    store: FeatureStore, source: Any, columns: list[str], moment: str, until: datetime, most: int
) -> Any:
    from feast.infra.offline_stores.contrib.postgres_offline_store.postgres import (
        PostgreSQLRetrievalJob,
    )

    names = ", ".join(map(_quoted, columns))
    table, limit = source.get_table_query_string_with_alias(), f"'{until.isoformat()}'::timestamptz"
    chosen = f"SELECT {names} FROM {table} WHERE {_quoted(moment)} <= {limit}"  # noqa: S608  quoted
    query = f"{chosen} ORDER BY {_quoted(moment)} DESC LIMIT {most}"
    return PostgreSQLRetrievalJob(query, store.config, full_feature_names=False).to_arrow()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


_READERS: Final[dict[str, Callable[..., Any]]] = {
    "FileSource": _of_file,
    "PostgreSQLSource": _of_postgres,
}
