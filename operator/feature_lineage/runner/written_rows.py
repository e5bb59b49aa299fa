"""What a materialization writes to the online store: rows, missing values, and a sample of keys."""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final
from zlib import crc32

from feast import FeatureStore

from feature_lineage.operations.sampled_keys import MAX_TEXT, SampledKey, SampledKeys

_PRECOMPUTED: Final = "__precomputed__"
"""Begin of the name under which Feast writes the vectors of a feature service."""
_KEY_TYPES: Final = frozenset({"int32_val", "int64_val", "string_val", "bool_val"})


class WrittenRows:
    """Counts rows written to the online store, and those without a value of each feature.

    Args:
        sampled: how many keys are kept.
    """

    def __init__(self, sampled: int = 0) -> None:
        self.rows = 0
        self.used = False
        self.newest: datetime | None = None
        self.nulls: Counter[str] = Counter()
        self._sample = KeySample(sampled)

    @property
    def keys(self) -> SampledKeys | None:
        """A sample of the keys; None without one."""
        return self._sample.keys

    @contextmanager
    def counting(self, store: FeatureStore) -> Iterator[None]:
        """Count what the store writes in the block."""
        target = store._get_provider().online_store
        write: Callable[..., Any] = target.online_write_batch

        def counted(config: Any, table: Any, data: Any, progress: Any = None) -> Any:
            result = write(config, table, data, progress)
            if not table.name.startswith(_PRECOMPUTED):
                self._count(data)
            return result

        target.online_write_batch = counted
        try:
            yield
        finally:
            del target.online_write_batch

    def _count(self, data: Any) -> None:
        self.used = True
        self.rows += len(data)
        moments = [in_utc(at) for _, _, at, _ in data]
        self.nulls.update(name for _, values, _, _ in data for name in _without_value(values))
        self.newest = max((*moments, *([self.newest] if self.newest else ())), default=None)
        if self._sample.most:
            for (key, values, _, _), at in zip(data, moments, strict=True):
                self._sample.add(key, values, at)


class KeySample:
    """The keys with the smallest hashes.

    So views with the same entities have the same keys in their samples, as far as both have rows
    of them, and a later materialization keeps them.

    Args:
        most: how many keys are kept.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._kept: dict[int, tuple[Any, datetime, tuple[str, ...]]] = {}
        self._largest: list[int] = []  # a heap of negative hashes
        self._features: set[str] = set()

    def add(self, key: Any, values: Mapping[str, Any], at: datetime) -> None:
        """Keep a written row, if its key belongs to the sample."""
        digest = crc32(key.SerializeToString())
        if digest not in self._kept:
            if len(self._kept) >= self.most:
                if digest > -self._largest[0]:
                    return
                del self._kept[-heapq.heapreplace(self._largest, -digest)]
            else:
                heapq.heappush(self._largest, -digest)
        self._kept[digest] = (key, at, tuple(_without_value(values)))
        self._features.update(values)

    @property
    def keys(self) -> SampledKeys | None:
        """The sample by hash; None if it is empty, or the keys are of a type that is not kept."""
        rows = [self._kept[digest] for digest in sorted(self._kept)]
        if not rows:
            return None
        sampled = (
            SampledKey(values=values, at=at, nulls=nulls)
            for key, at, nulls in rows
            if (values := _values(key)) is not None
        )
        found = SampledKeys(
            columns=tuple(rows[0][0].join_keys),
            features=tuple(sorted(self._features)),
            keys=tuple(sampled),
        )
        return found if found.keys else None


def in_utc(at: datetime) -> datetime:
    """A time of Feast, which means UTC if it has no zone."""
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _without_value(values: Mapping[str, Any]) -> Iterable[str]:
    return (name for name, value in values.items() if value.WhichOneof("val") is None)


def _values(key: Any) -> tuple[Any, ...] | None:
    """The values of a key; None if one is of a type that is not kept, or is too long."""
    found = []
    for value in key.entity_values:
        kind = value.WhichOneof("val")
        if kind not in _KEY_TYPES:
            return None
        plain = getattr(value, kind)
        found.append(plain)
    texts = [value for value in found if isinstance(value, str)]
    return tuple(found) if sum(map(len, texts)) <= MAX_TEXT else None
