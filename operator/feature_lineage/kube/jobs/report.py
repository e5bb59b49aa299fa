"""Reads the report of a job from its ConfigMaps. The whole report is untrusted input.

The size of a report is checked before it is parsed. Should a report end the process all the same,
the next leader must not open it again and again: whoever opens a report writes so on its first
ConfigMap before, and removes this mark after. `MOST_MARKS` marks of other processes, which ended in
between, are enough to refuse the report. One mark may be of a process that was stopped by chance.
"""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from uuid import uuid4

from feature_lineage.api import GROUP
from feature_lineage.errors import InvalidReport
from feature_lineage.kube.api_client import Api, Object
from feature_lineage.kube.jobs.names import report_names
from feature_lineage.kube.kinds import CONFIG_MAPS
from feature_lineage.large_parses import in_parser_thread, one_at_a_time
from feature_lineage.operations.job_report import JobReport, decode_report
from feature_lineage.operations.pod_protocol import (
    MANIFEST_KEY,
    PIECE_KEY,
    UNFINISHED_KEY,
    join_report,
    read_manifest,
    read_unfinished,
)
from feature_lineage.reasons import Reason

OPENED_BY: Final = f"{GROUP}/opened-by"
"""Annotation of the first ConfigMap of a report: the processes that are reading it."""
MOST_MARKS: Final = 2
_PROCESS: Final = uuid4().hex[:12]


async def read_report(api: Api, namespace: str, job: str) -> JobReport | None:
    """The report of a job; None if the job wrote none.

    Raises:
        InvalidReport: the content is not a complete report of this job.
    """
    first, *others = report_names(job)
    found = await api.find(CONFIG_MAPS, namespace, first)
    text = ((found or {}).get("data") or {}).get(MANIFEST_KEY)
    if found is None or text is None:
        return None
    manifest = read_manifest(text, job)
    pieces = [_piece(found)]
    for name in others[: manifest.pieces - 1]:
        further = await api.find(CONFIG_MAPS, namespace, name)
        if further is None:
            raise _damaged(f"ConfigMap {namespace}/{name} with a piece of the report is gone")
        pieces.append(_piece(further))
    async with _opened(api, found, namespace, first):
        report = await in_parser_thread(lambda: decode_report(join_report(manifest, pieces)))
    if report.operation_id != job:
        raise _damaged(f"the report is {report.operation_id[:80]!r}'s, not {job}'s")
    return report


async def read_unfinished_report(api: Api, namespace: str, job: str) -> JobReport | None:
    """What a job that wrote no report said about its views; None if it said nothing readable."""
    name = report_names(job)[0]
    found = await api.find(CONFIG_MAPS, namespace, name)
    if found is None or UNFINISHED_KEY not in (found.get("binaryData") or {}):
        return None
    try:
        async with _opened(api, found, namespace, name):
            packed = _piece(found, UNFINISHED_KEY)
            return await in_parser_thread(read_unfinished, packed, job)
    except InvalidReport:
        return None


@asynccontextmanager
async def _opened(api: Api, found: Object, namespace: str, name: str) -> AsyncIterator[None]:
    """Mark a report while it is parsed, and no other: if that kills this process, only the report
    that was parsed has the mark.

    Raises:
        InvalidReport: it has killed other processes.
    """
    marks = _marks(found, namespace, name)
    async with one_at_a_time():
        await _mark(api, namespace, name, (*marks, _PROCESS))
        try:
            yield
        finally:
            await _mark(api, namespace, name, marks)


def _marks(config_map: Object, namespace: str, name: str) -> tuple[str, ...]:
    """The marks of other processes.

    Raises:
        InvalidReport: there are `MOST_MARKS` of them.
    """
    text = (config_map["metadata"].get("annotations") or {}).get(OPENED_BY, "")
    marks = tuple(mark for mark in text.split(",") if mark not in {"", _PROCESS})
    if len(marks) < MOST_MARKS:
        return marks
    raise InvalidReport(
        f"{len(marks)} processes of the operator ended while they read the report in ConfigMap "
        f"{namespace}/{name}; it is not opened again: report this as a defect of the operator",
        reason=Reason.REPORT_TOO_LARGE,
    )


async def _mark(api: Api, namespace: str, name: str, marks: tuple[str, ...]) -> None:
    annotations = {OPENED_BY: ",".join(marks) or None}
    await api.patch(CONFIG_MAPS, namespace, name, {"metadata": {"annotations": annotations}})


def _piece(config_map: Object, key: str = PIECE_KEY) -> bytes:
    # The API server stores nothing but base64, and at most 1 MiB of it.
    return base64.b64decode((config_map.get("binaryData") or {}).get(key) or "")


def _damaged(message: str) -> InvalidReport:
    return InvalidReport(message, reason=Reason.JOB_FAILED)
