"""Objects that the API server let through and this version cannot read: their status says so."""

from datetime import UTC, datetime
from typing import Final

from pydantic import ValidationError

from feature_lineage.api.conditions import ProjectCondition
from feature_lineage.api.meta import Condition
from feature_lineage.decide.condition_set import ConditionSet
from feature_lineage.decide.facts import Key
from feature_lineage.kube.client import Api, Object
from feature_lineage.kube.kinds import CUSTOM
from feature_lineage.reasons import Reason

# A TrainedModel spells them alike.
READY: Final = ProjectCondition.READY
STALLED: Final = ProjectCondition.STALLED
RECONCILING: Final = ProjectCondition.RECONCILING


class InvalidStatuses:
    """Writes the status of what does not validate; what it says already is not written again."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def tell(self, key: Key, complaint: str) -> Object:
        """Say in Ready and Stalled what is wrong; the rest of the status stays.

        Returns:
            the object as it was read.
        """
        body = await self._api.get(CUSTOM[key.kind], key.namespace, key.name)
        status = body.get("status", {})
        generation = body["metadata"].get("generation")
        told = _conditions(status, generation, f"{complaint}; correct the manifest")
        known = (status.get("conditions"), status.get("observedGeneration"))
        if known == (told, generation):
            return body
        version = {"resourceVersion": body["metadata"]["resourceVersion"]}
        await self._api.patch(
            CUSTOM[key.kind],
            key.namespace,
            key.name,
            {
                "metadata": version,
                "status": {"conditions": told, "observedGeneration": generation},
            },
            subresource="status",
        )
        return body


def _conditions(status: Object, generation: int, message: str) -> list[Object]:
    """Those of a status, with what is wrong; one that nobody can read is left out."""
    current = []
    for each in status.get("conditions") or ():
        try:
            current.append(Condition.model_validate(each))
        except ValidationError:
            continue
    now = datetime.now(UTC).replace(microsecond=0)
    conditions = ConditionSet(tuple(current), now, generation)
    conditions.false(READY, Reason.INVALID_MANIFEST, message)
    conditions.only_while(STALLED, True, Reason.INVALID_MANIFEST, message)
    conditions.only_while(RECONCILING, False)
    return [condition.as_dict() for condition in conditions.values]
