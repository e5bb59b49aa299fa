"""Names of operations: derived, so that whoever starts again finds the job that was started.

The id names the Job and tags the ops run. It hangs on a sequence number kept in the status, so
that a revert A→B→A, or a permission for a plan that was refused, is an operation of its own.
"""

from collections.abc import Mapping
from typing import Any, Final

from feature_lineage.features.snapshot import digest_of
from feature_lineage.operations.protocol import OperationKind, Override

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
        ValueError: the sequence is no counter.
    """
    if not 0 <= sequence < 10**12:
        raise ValueError(f"sequence {sequence} is not between 0 and 10^12")
    identity = digest_of([kind, project_uid, sequence, inputs_digest])
    return f"{kind}-{sequence}-{identity[:_HASH]}"


def apply_inputs_digest(
    *,
    revision: str,
    feature_store_yaml: str | None,
    protection: Mapping[str, Any],
    runtime: Mapping[str, Any],
    overrides: Mapping[str, Override],
    mode: str,
    prune: bool,
) -> str:
    """Identity of everything an apply depends on, besides the registry it finds.

    Args:
        revision: commit or tree.
        feature_store_yaml: text that replaces the repo's; enters as a digest only.
        protection, runtime: these parts of the spec, as JSON.
        overrides: annotation → permission.
        mode: ``apply.mode``.
        prune: ``apply.prune``.
    """
    return digest_of(
        {
            "revision": revision,
            "featureStoreYaml": feature_store_yaml,
            "protection": protection,
            "runtime": runtime,
            "overrides": {
                name: [override.plan_digest, override.why] for name, override in overrides.items()
            },
            "mode": mode,
            "prune": prune,
        }
    )


def inputs_digest(kind: OperationKind, *inputs: object) -> str:
    """The same for any other operation: of JSON values, dates in ISO format."""
    return digest_of([kind, *inputs])
