"""Objects that the API server let through and this version cannot read: their status says so."""

from datetime import UTC, datetime

from feature_lineage.api.meta import Condition
from feature_lineage.kube.client import Api
from feature_lineage.kube.kinds import CUSTOM
from feature_lineage.kube.store import Entry
from feature_lineage.ports import Key

REASON = "InvalidManifest"


class InvalidStatuses:
    """Writes the status of what does not validate, once for each version of it."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._told: dict[Key, tuple[str, str]] = {}

    async def tell(self, key: Key, entry: Entry | None, complaint: str) -> None:
        """Say in Ready and Stalled what is wrong; the rest of the status stays."""
        if entry is None or self._told.get(key) == (entry.uid, complaint):
            return
        body = await self._api.get(CUSTOM[key.kind], key.namespace, key.name)
        conditions = [
            each
            for each in body.get("status", {}).get("conditions") or ()
            if each.get("type") not in ("Ready", "Stalled", "Reconciling")
        ]
        message = f"{complaint}; correct the manifest"[:2000]
        generation = body["metadata"].get("generation")
        for type_, status in (("Ready", "False"), ("Stalled", "True")):
            condition = Condition(
                type=type_,
                status=status,
                reason=REASON,
                message=message,
                last_transition_time=datetime.now(UTC).replace(microsecond=0),
                observed_generation=generation,
            )
            conditions.append(condition.as_dict())
        await self._api.patch(
            CUSTOM[key.kind],
            key.namespace,
            key.name,
            {
                "metadata": {"resourceVersion": body["metadata"]["resourceVersion"]},
                "status": {"conditions": conditions, "observedGeneration": generation},
            },
            subresource="status",
        )
        self._told[key] = (entry.uid, complaint)

    def forget(self, key: Key) -> None:
        self._told.pop(key, None)
