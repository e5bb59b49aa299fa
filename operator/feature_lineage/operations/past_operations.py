"""An operation as its ops run tells it later: how it ended, also for each view.

The ops run has the results of the views as tags, so that one request reads those of many
operations; its artifact `views.json` has all views, with their windows.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydantic import FiniteFloat, TypeAdapter, ValidationError

from feature_lineage.errors import InvalidReport
from feature_lineage.operations.job_report import ViewReport
from feature_lineage.operations.message import Moment
from feature_lineage.operations.records import (
    ATTEMPT_TAG,
    ERROR_TAG,
    OPERATION_ID_TAG,
    OPERATION_TAG,
    REASON_TAG,
    REGISTRY_DIGEST_TAG,
    RESULT_TAG,
    REVISION_TAG,
    in_pieces,
    joined,
)
from feature_lineage.shorten import cut, one_line, visible
from feature_lineage.untrusted import Many, Name, parse_json

VIEWS_TAG: Final = "featurelineage.io/views"
VIEWS_OMITTED_TAG: Final = "featurelineage.io/omitted-views"
MAX_TEXT: Final = 60_000
"""Characters of the results of all views of an operation."""
MAX_ERROR: Final = 200
MAX_PARSE_BYTES: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class PastView:
    """The result of an operation for one view.

    Attributes:
        result: Succeeded, Failed or Skipped.
        rows: rows written; None: not reported.
        newest_event: newest event time written; None: none, or not reported.
        seconds: how long it took; None: not known.
        nulls: feature → rows without a value, of features that have such rows; None: not reported.
        error: why it failed or was skipped.
    """

    name: Name
    result: Name
    rows: int | None = None
    newest_event: Moment | None = None
    seconds: FiniteFloat | None = None
    nulls: dict[Name, int] | None = None
    error: Name = ""


@dataclass(frozen=True, slots=True)
class PastOperation:
    """An operation that ended.

    Attributes:
        run_id: its MLflow run.
        kind: the command of its job, such as ``apply``.
        error: one line; "" if it succeeded.
        registry: digest of the registry afterwards; "" if it did not read the registry.
        views: the results of its views; None if it had none, or an older version recorded it.
        views_omitted: results that are only in `views.json`.
    """

    run_id: str
    operation: str
    kind: str
    started_at: datetime
    ended_at: datetime
    result: str
    reason: str
    error: str
    revision: str
    attempt: str
    registry: str
    views: tuple[PastView, ...] | None
    views_omitted: int = 0


_VIEWS: Final[TypeAdapter[tuple[PastView, ...]]] = TypeAdapter(Many[PastView])


def views_tags(views: Iterable[ViewReport]) -> dict[str, str]:
    """The results of views as tags; those that failed or were skipped come first."""
    worst_first = sorted(views, key=lambda view: (view.result == "Succeeded", view.name))
    texts, length = [], 2
    for view in worst_first:
        text = _text(view)
        length += len(text) + 1
        if length > MAX_TEXT:
            break
        texts.append(text)
    omitted = len(worst_first) - len(texts)
    return {
        **(in_pieces(VIEWS_TAG, f"[{','.join(texts)}]") if worst_first else {}),
        **({VIEWS_OMITTED_TAG: str(omitted)} if omitted else {}),
    }


def _text(view: ViewReport) -> str:
    newest = view.newest_event_time
    told = {
        "name": view.name,
        "result": view.result,
        "rows": view.rows,
        "newest_event": newest.isoformat() if newest else None,
        "seconds": view.seconds,
        "nulls": view.nulls,
        "error": visible(one_line(view.error, MAX_ERROR)),
    }
    kept = {key: value for key, value in told.items() if value not in (None, "")}
    return json.dumps(kept, separators=(",", ":"))


def read_operation(
    run_id: str, started_at: datetime, ended_at: datetime, tags: Mapping[str, str]
) -> PastOperation:
    """An operation from the tags of its run, which others may have written.

    Raises:
        InvalidReport: the results of its views have another form, or are too large.
    """
    views = joined(VIEWS_TAG, tags)
    try:
        found = (
            _VIEWS.validate_python(parse_json(views.encode(), MAX_PARSE_BYTES)) if views else None
        )
        omitted = int(tags.get(VIEWS_OMITTED_TAG, "0")[:9])
    except (ValueError, ValidationError) as error:
        said = str(error).partition("\n")[0]
        raise InvalidReport(
            f"MLflow run {run_id} is no ops run: its views: {cut(visible(said), 200)}; "
            "delete the run"
        ) from error
    return PastOperation(
        run_id=run_id,
        operation=_short(tags, OPERATION_ID_TAG),
        kind=_short(tags, OPERATION_TAG),
        started_at=started_at,
        ended_at=ended_at,
        result=_short(tags, RESULT_TAG),
        reason=_short(tags, REASON_TAG),
        error=_short(tags, ERROR_TAG),
        revision=_short(tags, REVISION_TAG),
        attempt=_short(tags, ATTEMPT_TAG),
        registry=_short(tags, REGISTRY_DIGEST_TAG),
        views=found,
        views_omitted=omitted,
    )


def _short(tags: Mapping[str, str], key: str) -> str:
    return cut(tags.get(key, ""), 1000)
