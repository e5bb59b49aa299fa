"""Entity keys from the newest rows of a source, for a view that somebody else materializes.

One bounded read: of a file, row groups until the watermark; of PostgreSQL, one query with LIMIT.
Other sources may send a bill for each query; they are not read.
"""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from feast import FeatureStore
from feast.data_format import DeltaFormat
from feast.feature_view import DUMMY_ENTITY_ID, DUMMY_ENTITY_VAL
from feast.utils import _convert_arrow_to_proto, _get_column_names, _run_pyarrow_field_mapping

from feature_lineage.operations.sampled_keys import SampledKeys, SourceKeys
from feature_lineage.runner.dry_retrieval import within
from feature_lineage.runner.errors import error_line
from feature_lineage.runner.job import Job, intervals, watermarks
from feature_lineage.runner.reader import Reading, views_of
from feature_lineage.runner.written_rows import KeySample, in_utc
from feature_lineage.shorten import one_line, visible

MAX_ROWS: Final = 10_000
MAX_VALUES: Final = 200_000
"""Of one view: rows times features that become objects."""
MAX_SECONDS: Final = 60.0
"""For the sources of all views of one probe."""
_MAX_WORDS: Final = 200

_Limit = tuple[str, datetime | None, datetime]
"""A column of times, with the time after which and the time until which rows are read."""


def read_sources(
    job: Job, reading: Reading, store: FeatureStore, wanted: frozenset[str], most: int
) -> Iterator[SourceKeys]:
    """The keys of each wanted view that has a watermark, or why they cannot be read.

    Args:
        most: keys of one view.
    """
    ends = time.monotonic() + MAX_SECONDS
    for _, message in views_of(reading.proto, job.project):
        name, (until, _) = message.spec.name, watermarks(message)
        if name not in wanted or until is None:
            continue
        if (left := ends - time.monotonic()) <= 0:
            yield SourceKeys(view=name, error=f"no time was left of {MAX_SECONDS:.0f} s")
            continue
        try:
            with within(left):
                keys = source_keys(store, name, _began(message, until), until, most)
            yield SourceKeys(view=name, keys=keys)
        except BaseException as error:  # noqa: BLE001  as for a retrieval: any error is an answer
            words = one_line(visible(error_line(error)), _MAX_WORDS)
            yield SourceKeys(view=name, error=words)


def _began(message: Any, until: datetime) -> datetime:
    """The start of the newest materializations without a gap: older rows may never have been
    written.
    """
    began = until
    for start, end in sorted(intervals(message), key=lambda each: each[1], reverse=True):
        if began <= end <= until or end == until:
            began = min(began, start)
        elif end < began:
            break
    return began


def source_keys(
    store: FeatureStore, name: str, began: datetime, until: datetime, most: int
) -> SampledKeys | None:
    """Keys of the newest rows from `began` until `until`; None if there are none.

    Raises:
        ValueError: rows of this view or source cannot be read at a bounded cost.
    """
    registry = store._registry
    view: Any = registry.get_any_feature_view(name, store.project, allow_cache=True)
    source = view.batch_source
    if getattr(view, "feature_transformation", None) or getattr(view, "aggregations", None):
        raise ValueError("the rows of the view are computed from its source")
    read = _READERS.get(type(source).__name__)
    if read is None or isinstance(getattr(source, "file_format", None), DeltaFormat):
        raise ValueError(f"a {type(source).__name__} of this kind is not read for a probe")
    entities = [store.get_entity(entity) for entity in view.entities if entity != DUMMY_ENTITY_ID]
    keys, features, moment, created = _get_column_names(view, entities)
    rows = max(most, min(MAX_ROWS, MAX_VALUES // max(len(features), 1)))
    # Rows past the TTL are not served; rows that were created later came late.
    since = began - timedelta(microseconds=1)
    if view.ttl:
        since = max(since, datetime.now(UTC) - view.ttl)
    limits = [(moment, since, until), *([(created, None, until)] if created else ())]
    columns = list(dict.fromkeys([*keys, *features, moment, *([created] if created else ())]))
    table = read(store, source, columns, limits, rows)
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
        sample.add(key, values, in_utc(at))
    return sample.keys


def _of_file(
    store: FeatureStore, source: Any, columns: list[str], limits: list[_Limit], most: int
) -> Any:
    path = source.get_uri_for_file_path(store.repo_path, source.path)
    credentials = source.resolve_credentials()
    system, path = source.create_filesystem_and_path(path, source.s3_endpoint_override, credentials)
    data = ds.dataset(path, filesystem=system, format="parquet")
    moment, within_limits = limits[0][0], pc.scalar(True)
    for name, since, until in limits:
        column, kind = pc.field(name), data.schema.field(name).type
        within_limits &= (column <= _as(until, kind)) | column.is_null()
        if since is not None:
            within_limits &= column > _as(since, kind)
    newest = data.schema.empty_table().select(columns)
    for batch in data.to_batches(columns=columns, filter=within_limits):
        newest = pa.concat_tables([newest, pa.Table.from_batches([batch])])
        if len(newest) > most:
            newest = newest.take(pc.select_k_unstable(newest, most, [(moment, "descending")]))
    return newest


def _as(moment: datetime, kind: Any) -> Any:
    """A moment as a column of this type has it, rounded down."""
    zoned = moment if getattr(kind, "tz", None) else moment.replace(tzinfo=None)
    return pa.scalar(zoned).cast(kind, safe=False)


def _of_postgres(
    store: FeatureStore, source: Any, columns: list[str], limits: list[_Limit], most: int
) -> Any:
    from feast.infra.offline_stores.contrib.postgres_offline_store.postgres import (
        PostgreSQLRetrievalJob,
    )

    names = ", ".join(map(_quoted, columns))
    table, moment = source.get_table_query_string_with_alias(), limits[0][0]
    where = " AND ".join(
        f"coalesce({_quoted(name)} <= {_literal(until)}, true)"
        + (f" AND {_quoted(name)} > {_literal(since)}" if since else "")
        for name, since, until in limits
    )
    chosen = f"SELECT {names} FROM {table} WHERE {where}"  # noqa: S608  names are quoted
    query = f"{chosen} ORDER BY {_quoted(moment)} DESC LIMIT {most}"
    return PostgreSQLRetrievalJob(query, store.config, full_feature_names=False).to_arrow()


def _literal(moment: datetime) -> str:
    return f"'{moment.isoformat()}'::timestamptz"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


_READERS: Final[dict[str, Callable[..., Any]]] = {
    "FileSource": _of_file,
    "PostgreSQLSource": _of_postgres,
}
