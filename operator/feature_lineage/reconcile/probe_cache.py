"""The records of probes that were used last."""

from typing import Final

from feature_lineage.api import FeatureStoreProject
from feature_lineage.decide.facts import Key, key_of
from feature_lineage.operations.probe_record import ProbeRecord
from feature_lineage.ports import Ports

MAX_RECORDS: Final = 32
"""Each has at most `probe_record.MAX_RECORD_BYTES` of text; reading one again is one request."""


class ProbeCache:
    """The record of each project, for its reconcile and those of its models."""

    def __init__(self) -> None:
        self._records: dict[Key, tuple[str, ProbeRecord]] = {}

    async def current(self, ports: Ports, project: FeatureStoreProject) -> ProbeRecord | None:
        """The record that the project's status names; None if there is none, or it is lost."""
        key, status = key_of(project), project.status.probe
        if not project.spec.is_probed or status is None or status.digest is None:
            return None
        digest, record = self._records.get(key, ("", None))
        if digest != status.digest:
            record = await ports.probes.read(key, status.digest)
        if record is not None:
            self._keep(key, status.digest, record)
        return record

    def keep(self, key: Key, record: ProbeRecord) -> None:
        """Remember the record, which is stored now."""
        self._keep(key, record.digest, record)

    def _keep(self, key: Key, digest: str, record: ProbeRecord) -> None:
        # A record that an older version wrote has another digest than its text has now.
        self._records.pop(key, None)
        self._records[key] = digest, record
        while len(self._records) > MAX_RECORDS:
            del self._records[next(iter(self._records))]

    def forget(self, key: Key) -> None:
        """The project is deleted."""
        self._records.pop(key, None)
