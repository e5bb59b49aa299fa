"""What the comparisons of one probe may cost: time, files, and queries of a warehouse."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from feast import FeatureStore

from feature_lineage.api.enums import ProbeSkew
from feature_lineage.runner.dry_retrieval import MAX_SECONDS, within
from feature_lineage.runner.request_context import RequestContext

MAX_FILE_BYTES: Final = 100 * 1024 * 1024
"""Of the files of a source that is compared with `Auto`: Feast reads them into memory."""
MAX_FILES: Final = 10_000
"""Of such a source: so many are measured."""
MAX_TOTAL_SECONDS: Final = 120.0
"""For all comparisons of a probe."""
MAX_FAILED: Final = 2
"""After so many failed comparisons in a row, the others are not tried: each may wait."""
_CHEAP: Final = frozenset({"file", "dask", "duckdb", "postgres"})


class ComparisonLimits:
    """The limits of one probe."""

    def __init__(self, store: FeatureStore, skew: ProbeSkew) -> None:
        self._store, self._skew = store, skew
        self._until = time.monotonic() + MAX_TOTAL_SECONDS
        self._failed = 0

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Limit the time of one comparison, and note whether it fails."""
        self._failed += 1
        with within(max(1.0, min(MAX_SECONDS, self._until - time.monotonic()))):
            yield
        self._failed = 0

    def refusal(self, context: RequestContext) -> str:
        """Why the sources of a retrieval are not read; "" if they are."""
        if self._failed >= MAX_FAILED:
            return f"the {MAX_FAILED} comparisons before failed"
        if time.monotonic() > self._until:
            return f"the comparisons of this probe took {MAX_TOTAL_SECONDS:.0f} s"
        if self._skew is ProbeSkew.ALWAYS:
            return ""
        kind = str(getattr(self._store.config.offline_store, "type", ""))
        if kind not in _CHEAP:
            return f"spec.probe.skew: Auto reads no offline store of type {kind or 'unknown'}"
        for view in context.views:
            path = getattr(view.view.batch_source, "path", "")
            if path and kind != "postgres" and (large := too_large(path, self._store.repo_path)):
                return f"spec.probe.skew: Auto does not read {view.view.name}: {large}"
        return ""


def too_large(path: str, repo: Path) -> str:
    """Why a file is not read with `Auto`; "" if it is small."""
    if "://" in path and not path.startswith("file://"):
        return "it is not a local file"
    size = 0
    for count, each in enumerate(_files(Path(repo) / path.removeprefix("file://"))):
        if count >= MAX_FILES:
            return f"it has more than {MAX_FILES:,} files"
        size += each.stat().st_size if each.is_file() else 0
        if size > MAX_FILE_BYTES:
            return f"it has more than {MAX_FILE_BYTES // 2**20} MiB"
    return ""


def _files(place: Path) -> Iterator[Path]:
    """The files of a path, which may be a folder or a pattern."""
    whole = place.absolute()
    root = Path(whole.anchor)
    for each in (whole,) if whole.exists() else root.glob(str(whole.relative_to(root))):
        yield from each.rglob("*") if each.is_dir() else (each,)
