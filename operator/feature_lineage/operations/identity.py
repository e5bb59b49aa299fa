"""Derives operation ids, so that a restarted operator finds the job it started, and owner ids.

The id names the Job and tags the ops run. It includes a sequence number from the status, so that
a revert A→B→A, or an override for a blocked plan, is a new operation.
"""

import hashlib
from typing import Final

from feature_lineage.api.enums import OperationKind
from feature_lineage.features.snapshot import digest_of
from feature_lineage.operations.kinds import KINDS

MAX_ID_LENGTH: Final = (
    52  # a Job adds up to 11 characters to the name of its pod, and 63 is the end
)
_HASH: Final = 16


def operation_id(kind: OperationKind, project_uid: str, sequence: int, inputs_digest: str) -> str:
    """``apply-12-9f86d081884c7d65``: a DNS label of at most 52 characters.

    Args:
        kind: what it does.
        project_uid: of the resource, so that two projects never share an id.
        sequence: counts the operations of the resource.
        inputs_digest: of everything the operation depends on.

    Raises:
        ValueError: the sequence is out of range.
    """
    if not 0 <= sequence < 10**12:
        raise ValueError(f"sequence {sequence} is not between 0 and 10^12")
    command = KINDS[kind].command
    identity = digest_of([command, project_uid, sequence, inputs_digest])
    return f"{command}-{sequence}-{identity[:_HASH]}"


def owner_id(namespace: str, name: str) -> str:
    """Id of a resource in the owner record of a registry.

    A resource that is deleted and created again, or restored, has the same id and another uid. The
    id is a digest, because others who can read the registry may not know the namespace.
    """
    return hashlib.sha256(f"{namespace}/{name}".encode()).hexdigest()[:_HASH]
