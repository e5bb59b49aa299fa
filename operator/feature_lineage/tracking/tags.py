"""Writes one tag of a model version in one HTTP call; MLflow's client makes two.

The caller checks that the version was not deleted and created again (`registry`).
"""

from typing import Final

from feature_lineage.errors import RequestRejected
from feature_lineage.reasons import Reason
from feature_lineage.tracking.client import MLflowClient

MAX_KEY: Final = 250
MAX_VALUE: Final = 100_000
"""Maximum number of characters in a tag of a model version."""


async def set_version_tag(
    client: MLflowClient, name: str, version: str, key: str, value: str
) -> None:
    """Write a tag, replacing its value.

    A value above MLflow's limit is refused and never cut: half a list of references would look like
    a complete one.

    Raises:
        RequestRejected: key or value too long (reason ``TagTooLong``), or MLflow refuses.
        NotFound: the version is gone.
    """
    if len(key) > MAX_KEY or len(value) > MAX_VALUE:
        raise RequestRejected(
            f"tag {key[:MAX_KEY]!r} of model {name} version {version} is not written: a key of"
            f" {len(key)} and a value of {len(value)} characters; MLflow accepts {MAX_KEY} and"
            f" {MAX_VALUE}",
            error_code="INVALID_PARAMETER_VALUE",
            reason=Reason.TAG_TOO_LONG,
        )
    await client.set_version_tag(name, version, key, value)
