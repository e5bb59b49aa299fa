"""The messages between the operator and the pod of a job: the request and the report.

A pod reads its request from one file. Its report is compressed and split into at most `PIECES`
pieces, because an object of the API server holds 1 MiB. The first piece has the manifest and is
written last, so that a report is either complete or not there.
"""

import gzip
import hashlib
from collections.abc import Sequence
from typing import Final, Literal

from pydantic import ValidationError

from feature_lineage.errors import InvalidReport, TerminalError
from feature_lineage.features.snapshot import canonical_json
from feature_lineage.operations.job_report import MAX_REPORT_BYTES, JobReport, decode_report
from feature_lineage.operations.message import Message
from feature_lineage.operations.protocol import JobRequest, encode, unparsable
from feature_lineage.reasons import Reason
from feature_lineage.untrusted import TooLarge, check_json, inflate

PIECES: Final = 3
MAX_PIECE_BYTES: Final = 700 * 1024
MAX_REQUEST_BYTES: Final = 900 * 1024
MAX_MANIFEST_BYTES: Final = 64 * 1024

MANIFEST_KEY: Final = "manifest.json"
PIECE_KEY: Final = "report.json.gz"
UNFINISHED_KEY: Final = "unfinished.json.gz"
"""In the first ConfigMap: the report so far of a materialization, until the report replaces it."""
REQUEST_KEY: Final = "request.json.gz"


class GitCheckout(Message):
    """A Git repository and its mounted credentials.

    Attributes:
        url: URL of the repository, without credentials.
        path: folder of feature_store.yaml in the repository.
        credential: folder where the Secret is mounted; "" for no credentials.
        ca_file: mounted file with the certificate authorities to trust; "" for the image's own.
    """

    url: str
    path: str = "."
    credential: str = ""
    ca_file: str = ""


class PodSource(Message):
    """The source of a pod's repo. At most one field is set; none for a project without a repo.

    Attributes:
        git: a repository to fetch the request's `revision` from.
        files: folder where the ConfigMap with the repo's files is mounted.
        folder: folder of the image.
    """

    git: GitCheckout | None = None
    files: str = ""
    folder: str = ""


class PodRequest(PodSource):
    """The input of one pod: the job request, the source of its repo, and where its report goes.

    Attributes:
        request: the job request; the pod fills in its `repo`.
        feature_store_yaml: mounted file that replaces the repo's. The request has the path and
            not the text, which may contain secrets.
        namespace: namespace of the ConfigMaps for the report.
        reports: names of the ConfigMaps for the pieces of the report.
    """

    protocol: Literal[1] = 1
    request: JobRequest
    feature_store_yaml: str = ""
    namespace: str
    reports: tuple[str, ...]


class ReportManifest(Message):
    """Describes a report; stored with its first piece.

    Attributes:
        operation: id of the job that wrote the report.
        sha256: digest of the compressed report, in hex.
        size: size of the report, in bytes.
        pieces: number of pieces.
    """

    operation: str
    sha256: str
    size: int
    pieces: int


def pack_pod_request(request: PodRequest) -> bytes:
    """The request as the pod reads it: canonical JSON, gzip.

    Raises:
        TerminalError: the request does not fit into a ConfigMap.
    """
    text = canonical_json(request.model_dump(mode="json")).encode()
    packed = gzip.compress(text, mtime=0)
    if len(packed) > MAX_REQUEST_BYTES:
        raise TerminalError(
            f"the request of {request.request.operation_id} takes {len(packed)} bytes, compressed; "
            f"at most {MAX_REQUEST_BYTES} fit into a ConfigMap: split the project, or narrow "
            "spec.apply.protection.models",
            reason=Reason.REQUEST_REJECTED,
        )
    return packed


def read_pod_request(packed: bytes) -> PodRequest:
    """The request of a pod.

    Raises:
        InvalidReport: the request does not parse, or has another version of the protocol.
    """
    try:
        return PodRequest.model_validate_json(inflated(packed))
    except ValidationError as error:
        raise unparsable("request", error) from error


def pack_report(text: bytes, operation: str) -> tuple[ReportManifest, tuple[bytes, ...]]:
    """Compress a report and split it into at most `PIECES` pieces.

    Raises:
        TerminalError: the report is too large (``ReportTooLarge``).
    """
    packed = gzip.compress(text, mtime=0)
    limit = PIECES * MAX_PIECE_BYTES
    if len(text) > MAX_REPORT_BYTES or len(packed) > limit:
        raise TerminalError(
            f"the report takes {len(text)} bytes, {len(packed)} of them compressed; at most "
            f"{MAX_REPORT_BYTES} and {limit} fit into {PIECES} ConfigMaps: "
            "split the project into smaller ones",
            reason=Reason.REPORT_TOO_LARGE,
        )
    pieces = tuple(
        packed[start : start + MAX_PIECE_BYTES] for start in range(0, len(packed), MAX_PIECE_BYTES)
    )
    digest = hashlib.sha256(packed).hexdigest()
    return ReportManifest(
        operation=operation, sha256=digest, size=len(text), pieces=len(pieces)
    ), pieces


def pack_unfinished(report: JobReport) -> bytes | None:
    """The report so far, compressed; None if it does not fit into one ConfigMap."""
    packed = gzip.compress(encode(report).encode(), mtime=0)
    return packed if len(packed) <= MAX_PIECE_BYTES else None


def read_unfinished(packed: bytes, operation: str) -> JobReport:
    """Parse the report so far of `operation`.

    Raises:
        InvalidReport: it does not parse, is too large, or belongs to another operation.
    """
    report = decode_report(inflated(packed))
    if report.operation_id != operation:
        raise _damaged(f"the report is {report.operation_id[:80]!r}'s, not {operation}'s")
    return report


def read_manifest(text: str, operation: str) -> ReportManifest:
    """Parse the manifest of the report of `operation`.

    Raises:
        InvalidReport: it does not parse, or belongs to another operation.
    """
    try:
        check_json(text.encode(), MAX_MANIFEST_BYTES)
        manifest = ReportManifest.model_validate_json(text)
    except (ValidationError, TooLarge) as error:
        raise _damaged("the report's manifest does not parse") from error
    if manifest.operation != operation:
        raise _damaged(f"the report is {manifest.operation[:80]!r}'s, not {operation}'s")
    if not 1 <= manifest.pieces <= PIECES:
        raise _damaged(f"the report claims {manifest.pieces} pieces; at most {PIECES}")
    return manifest


def _damaged(message: str) -> InvalidReport:
    """The error for a damaged report: the next attempt may succeed."""
    return InvalidReport(message, reason=Reason.JOB_FAILED)


def join_report(manifest: ReportManifest, pieces: Sequence[bytes]) -> bytes:
    """Join the pieces of a report.

    Raises:
        InvalidReport: a piece is missing, or differs from what the job wrote.
    """
    packed = b"".join(pieces)
    if hashlib.sha256(packed).hexdigest() != manifest.sha256:
        raise _damaged("the report's pieces do not have the sha256 of its manifest")
    return inflated(packed)


def inflated(packed: bytes) -> bytes:
    """Decompress at most `MAX_REPORT_BYTES`: the sender is not trusted."""
    try:
        return inflate(packed, MAX_REPORT_BYTES)
    except TooLarge as error:
        raise InvalidReport(
            f"the message is not read: {error}; split the project into smaller ones",
            reason=Reason.REPORT_TOO_LARGE,
        ) from error
    except ValueError as error:
        raise _damaged(f"the message cannot be decompressed: {error}") from error
