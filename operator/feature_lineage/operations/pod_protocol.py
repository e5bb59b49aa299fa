"""What a job in a pod is handed, and how its report comes back: both sides of the wire in one file.

A pod reads one file, its *order*: the request, and where the repo and the credentials are found.
Its report is compressed and cut into a fixed few pieces, for an object of the API server holds
1 MiB. The first piece goes last and carries the manifest, so a report is there whole or not at all.
"""

import gzip
import hashlib
import zlib
from collections.abc import Sequence
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from feature_lineage.errors import InvalidReport, TerminalError
from feature_lineage.features.snapshot import canonical_json
from feature_lineage.operations.protocol import MAX_REPORT_BYTES, JobRequest, unparsable
from feature_lineage.reasons import Reason

PIECES: Final = 3
MAX_PIECE_BYTES: Final = 700 * 1024
MAX_REQUEST_BYTES: Final = 900 * 1024

MANIFEST_KEY: Final = "manifest.json"
PIECE_KEY: Final = "report.json.gz"
REQUEST_KEY: Final = "request.json.gz"


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class GitCheckout(_Message):
    """A Git repository, and how to reach it.

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


class PodSource(_Message):
    """Where a pod finds its repo. At most one field is set; none for a project without a repo.

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


class Manifest(_Message):
    """What the first piece says of the whole.

    Attributes:
        operation: id of the job that wrote it.
        sha256: of the compressed report.
        size: of the report, in bytes.
        pieces: how many there are.
    """

    operation: str
    sha256: str
    size: int
    pieces: int


def pack_pod_request(request: PodRequest) -> bytes:
    """The request as the pod reads it: canonical JSON, gzip.

    Raises:
        TerminalError: it does not fit into a ConfigMap.
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
        InvalidReport: it does not parse, or has another version of the protocol.
    """
    try:
        return PodRequest.model_validate_json(_inflate(packed))
    except ValidationError as error:
        raise unparsable("request", error) from error


def pack_report(text: bytes, operation: str) -> tuple[Manifest, tuple[bytes, ...]]:
    """A report in pieces, `PIECES` of them at most.

    Raises:
        TerminalError: it is too large (``ReportTooLarge``).
    """
    packed = gzip.compress(text, mtime=0)
    limit = PIECES * MAX_PIECE_BYTES
    if len(text) > MAX_REPORT_BYTES or len(packed) > limit:
        raise TerminalError(
            f"the report takes {len(text)} bytes, {len(packed)} of them compressed; at most "
            f"{MAX_REPORT_BYTES} and {limit} can be handed over: split the project into smaller "
            "ones",
            reason=Reason.REPORT_TOO_LARGE,
        )
    pieces = tuple(
        packed[start : start + MAX_PIECE_BYTES] for start in range(0, len(packed), MAX_PIECE_BYTES)
    )
    digest = hashlib.sha256(packed).hexdigest()
    return Manifest(operation=operation, sha256=digest, size=len(text), pieces=len(pieces)), pieces


def read_manifest(text: str, operation: str) -> Manifest:
    """What the first piece says.

    Raises:
        InvalidReport: nothing of use, or it is of another operation.
    """
    try:
        manifest = Manifest.model_validate_json(text)
    except ValidationError as error:
        raise _damaged("the report's manifest does not parse") from error
    if manifest.operation != operation:
        raise _damaged(f"the report is {manifest.operation[:80]!r}'s, not {operation}'s")
    if not 1 <= manifest.pieces <= PIECES:
        raise _damaged(f"the report claims {manifest.pieces} pieces; at most {PIECES}")
    return manifest


def _damaged(message: str) -> InvalidReport:
    """Not the runner's doing: the next attempt may well report."""
    return InvalidReport(message, reason=Reason.JOB_FAILED)


def join_report(manifest: Manifest, pieces: Sequence[bytes]) -> bytes:
    """The report that its pieces make.

    Raises:
        InvalidReport: a piece is missing or is not what the job wrote.
    """
    packed = b"".join(pieces)
    if hashlib.sha256(packed).hexdigest() != manifest.sha256:
        raise _damaged("the report's pieces do not make what its manifest says")
    return _inflate(packed)


def _inflate(packed: bytes) -> bytes:
    """Decompress, but never more than a report may have: the sender is not to be trusted."""
    inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        text = inflater.decompress(packed, MAX_REPORT_BYTES + 1)
    except zlib.error as error:
        raise _damaged(f"what was handed over is not gzip: {error}") from error
    if len(text) > MAX_REPORT_BYTES:
        raise _damaged(f"more than {MAX_REPORT_BYTES} bytes once decompressed")
    if not inflater.eof or inflater.unused_data:
        raise _damaged("what was handed over is cut short, or something follows it")
    return text
