"""The record of a project's probes in one ConfigMap, which the project owns.

A deleted or damaged ConfigMap is written again after the next probe.
"""

import base64
import gzip
import logging
from collections.abc import Callable

from feature_lineage.api import FeatureStoreProject
from feature_lineage.decide.facts import Key
from feature_lineage.errors import InvalidReport, NotFound
from feature_lineage.kube.api_client import Api
from feature_lineage.kube.jobs.names import probe_name
from feature_lineage.kube.jobs.owned_objects import apply_owned, owned_config_map
from feature_lineage.kube.kinds import CONFIG_MAPS
from feature_lineage.operations.probe_record import MAX_RECORD_BYTES, ProbeRecord
from feature_lineage.untrusted import inflate

_KEY = "probe.json.gz"

_log = logging.getLogger(__name__)


class KubeProbes:
    """`ProbeStore` of the cluster host.

    Args:
        project: finds the resource that owns the ConfigMap.
    """

    def __init__(self, api: Api, project: Callable[[Key], FeatureStoreProject | None]) -> None:
        self._api = api
        self._project = project

    async def keep(self, key: Key, record: ProbeRecord) -> None:
        project = self._project(key)
        if project is None:
            raise NotFound(f"{key} is deleted: its probes are not kept")
        packed = base64.b64encode(gzip.compress(record.text.encode(), mtime=0)).decode()
        body = {
            **owned_config_map(project, probe_name(key.name)),
            "binaryData": {_KEY: packed},
        }
        await apply_owned(self._api, CONFIG_MAPS, project, body)

    async def read(self, key: Key, digest: str) -> ProbeRecord | None:
        found = await self._api.find(CONFIG_MAPS, key.namespace, probe_name(key.name))
        if found is None:
            return None
        packed = (found.get("binaryData") or {}).get(_KEY, "")
        try:
            text = inflate(base64.b64decode(packed), MAX_RECORD_BYTES)
            return ProbeRecord.parse(text, digest)
        except (ValueError, InvalidReport) as error:
            _log.warning("ConfigMap %s/%s: %s", key.namespace, probe_name(key.name), error)
            return None
