"""Writes the status of objects that the API server accepted and this version cannot parse."""

from datetime import UTC, datetime

from pydantic import ValidationError

from feature_lineage.api.meta import Condition
from feature_lineage.decide.facts import Key
from feature_lineage.decide.invalid import invalid_conditions
from feature_lineage.kube.api_client import Api, Object
from feature_lineage.kube.kinds import CUSTOM


class InvalidStatuses:
    """Writes the status of an object that does not validate, unless the status has it already."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def write(self, key: Key, problem: str) -> Object:
        """Write the problem into Ready and Stalled; the rest of the status is kept.

        Returns:
            the object as it was read.
        """
        body = await self._api.get(CUSTOM[key.kind], key.namespace, key.name)
        status = body.get("status", {})
        generation = body["metadata"].get("generation")
        conditions = _conditions(
            status, generation, f"{'; '.join(problem.splitlines())}; correct the manifest"
        )
        current = (status.get("conditions"), status.get("observedGeneration"))
        if current == (conditions, generation):
            return body
        version = {"resourceVersion": body["metadata"]["resourceVersion"]}
        await self._api.patch(
            CUSTOM[key.kind],
            key.namespace,
            key.name,
            {
                "metadata": version,
                "status": {"conditions": conditions, "observedGeneration": generation},
            },
            subresource="status",
        )
        return body


def _conditions(status: Object, generation: int, message: str) -> list[Object]:
    """The valid conditions of `status`, with Ready and Stalled that report the problem."""
    current = []
    for each in status.get("conditions") or ():
        try:
            current.append(Condition.model_validate(each))
        except ValidationError:
            continue
    now = datetime.now(UTC).replace(microsecond=0)
    conditions = invalid_conditions(tuple(current), message, now, generation)
    return [condition.as_dict() for condition in conditions]
