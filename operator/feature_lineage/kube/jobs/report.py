"""Reads the report of a job from its ConfigMaps. The whole report is untrusted input."""

import base64
import binascii

from feature_lineage.errors import InvalidReport
from feature_lineage.kube.api_client import Api
from feature_lineage.kube.jobs.names import report_names
from feature_lineage.kube.kinds import CONFIG_MAPS
from feature_lineage.operations.pod_protocol import (
    MANIFEST_KEY,
    MAX_PIECE_BYTES,
    PIECE_KEY,
    join_report,
    read_manifest,
)
from feature_lineage.operations.protocol import JobReport, decode_report
from feature_lineage.reasons import Reason


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
    report = decode_report(join_report(manifest, pieces))
    if report.operation_id != job:
        raise _damaged(f"the report is {report.operation_id[:80]!r}'s, not {job}'s")
    return report


def _piece(config_map: dict[str, object]) -> bytes:
    held = config_map.get("binaryData")
    text = held.get(PIECE_KEY) if isinstance(held, dict) else None
    try:
        piece = base64.b64decode(text or "", validate=True)
    except binascii.Error as error:
        raise _damaged("a piece of the report is not base64") from error
    if len(piece) > MAX_PIECE_BYTES:
        raise _damaged(f"a piece of the report has {len(piece)} bytes; at most {MAX_PIECE_BYTES}")
    return piece


def _damaged(message: str) -> InvalidReport:
    return InvalidReport(message, reason=Reason.JOB_FAILED)
