"""The deep fields of a pod in `spec.runtime`: which parts they have, and how large they may be.

They are passed to the pod as they are. Without a schema, a megabyte of empty JSON objects in one of
them would cost the API server and the operator a hundred times that; so every list, map and text
has a bound, in Python and in the CRD. Kubernetes itself validates the values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

Json = dict[str, Any]

AS_IN_A_POD: Final = "As in a pod."
"""Description of every part, by which the tables of the documentation leave them out."""
NOT_AVAILABLE: Final = "Not available to jobs."
"""Description of a field that a rule refuses; the tables leave it out, too."""
MAX_TEXT: Final = 1024
MAX_ITEMS: Final = 32
MAX_ENTRIES: Final = 256
"""Of a list or map that users fill with names: nodes, keys, attributes of a driver."""


@dataclass(frozen=True, eq=False)
class Shape:
    """Annotation of a dict: the schema of its content."""

    schema: Json

    def __get_pydantic_core_schema__(
        self, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> Json:
        return self.schema

    def _check(self, value: Json) -> Json:
        if problem := _problem(self.schema, value, ""):
            raise PydanticCustomError("pod", "{fact}", {"fact": problem})
        return value


_TYPES: Final[dict[str, type]] = {"string": str, "boolean": bool, "array": list, "object": dict}


def _problem(schema: Json, value: object, path: str) -> str:
    """What is wrong with a value; "" if nothing is."""
    if "type" not in schema:  # int-or-string
        fits = (isinstance(value, int) and not isinstance(value, bool)) or (
            isinstance(value, str) and len(value) <= schema["maxLength"]
        )
        return "" if fits else f"{path} must be a number, or text of a number with a unit"
    kind = schema["type"]
    if kind == "integer":
        fits = isinstance(value, int) and not isinstance(value, bool)
        return "" if fits else f"{path} must be an integer"
    if not isinstance(value, _TYPES[kind]):
        return f"{path or 'it'} must be of type {kind}"
    most = schema.get("maxLength", schema.get("maxItems", schema.get("maxProperties")))
    if most is not None and len(value) > most:  # type: ignore[arg-type]
        return f"{path} is too long: at most {most}"
    if isinstance(value, list):
        parts = [(schema["items"], each, f"{path}[{at}]") for at, each in enumerate(value)]
    elif isinstance(value, dict):
        known = schema.get("properties", {})
        unknown = sorted(value.keys() - known.keys()) if known else []
        if unknown:
            fields = ", ".join(map(str, unknown))
            return f"{path or 'it'} has the unknown field {fields}; known are {', '.join(known)}"
        missing = [name for name in schema.get("required", ()) if value.get(name) is None]
        if missing:
            return f"{path or 'it'} needs {', '.join(missing)}"
        parts = [
            (known.get(name) or schema["additionalProperties"], each, f"{path}.{name}".lstrip("."))
            for name, each in value.items()
            if each is not None
        ]
    else:
        return ""
    return next((found for part in parts if (found := _problem(*part))), "")


def _text(most: int = MAX_TEXT) -> Json:
    return {"type": "string", "maxLength": most, "description": AS_IN_A_POD}


def _map(value: Json, most: int = MAX_ITEMS) -> Json:
    return {
        "type": "object",
        "additionalProperties": value,
        "maxProperties": most,
        "description": AS_IN_A_POD,
    }


def _list(item: Json, most: int = MAX_ITEMS) -> Json:
    return {
        "type": "array",
        "items": item,
        "maxItems": most,
        "x-kubernetes-list-type": "atomic",
        "description": AS_IN_A_POD,
    }


def _object(**fields: Json) -> Json:
    return {"type": "object", "properties": fields, "description": AS_IN_A_POD}


def _entries(*required: str, **fields: Json) -> Json:
    """A long list of objects. Each has the fields that Kubernetes requires, so none is empty."""
    return _list({**_object(**fields), "required": list(required)}, MAX_ENTRIES)


_TEXT: Final = _text()
_NUMBER: Final = {"type": "integer", "description": AS_IN_A_POD}
_YES_OR_NO: Final = {"type": "boolean", "description": AS_IN_A_POD}
_QUANTITY: Final = {
    "x-kubernetes-int-or-string": True,
    "maxLength": 64,
    "description": AS_IN_A_POD,
}
_TEXTS: Final = _list(_TEXT)
_REQUIREMENTS: Final = _list(_object(key=_TEXT, operator=_TEXT, values=_list(_TEXT, MAX_ENTRIES)))
_SELECTOR: Final = _object(matchLabels=_map(_TEXT), matchExpressions=_REQUIREMENTS)
_NODES: Final = _object(matchExpressions=_REQUIREMENTS, matchFields=_REQUIREMENTS)
_PODS: Final = _object(
    labelSelector=_SELECTOR,
    namespaceSelector=_SELECTOR,
    namespaces=_TEXTS,
    topologyKey=_TEXT,
    matchLabelKeys=_TEXTS,
    mismatchLabelKeys=_TEXTS,
)
_POD_AFFINITY: Final = _object(
    requiredDuringSchedulingIgnoredDuringExecution=_list(_PODS),
    preferredDuringSchedulingIgnoredDuringExecution=_list(
        _object(weight=_NUMBER, podAffinityTerm=_PODS)
    ),
)
AFFINITY: Final = Shape(
    _object(
        nodeAffinity=_object(
            requiredDuringSchedulingIgnoredDuringExecution=_object(nodeSelectorTerms=_list(_NODES)),
            preferredDuringSchedulingIgnoredDuringExecution=_list(
                _object(weight=_NUMBER, preference=_NODES)
            ),
        ),
        podAffinity=_POD_AFFINITY,
        podAntiAffinity=_POD_AFFINITY,
    )
)
SECURITY_CONTEXT: Final = Shape(
    _object(
        fsGroup=_NUMBER,
        fsGroupChangePolicy=_TEXT,
        runAsGroup=_NUMBER,
        runAsNonRoot=_YES_OR_NO,
        runAsUser=_NUMBER,
        seLinuxChangePolicy=_TEXT,
        seLinuxOptions=_object(level=_TEXT, role=_TEXT, type=_TEXT, user=_TEXT),
        seccompProfile=_object(type=_TEXT, localhostProfile=_TEXT),
        supplementalGroups=_list(_NUMBER),
        supplementalGroupsPolicy=_TEXT,
    )
)
"""Without the fields that the pod security standard `restricted` refuses altogether."""

_KEYS: Final = _entries("key", "path", key=_TEXT, path=_TEXT, mode=_NUMBER)
_NAMED: Final = _object(name=_TEXT)
_CONFIG_MAP_KEYS: Final = _object(name=_TEXT, items=_KEYS, optional=_YES_OR_NO)
_POD_FIELDS: Final = _entries(
    "path",
    path=_TEXT,
    mode=_NUMBER,
    fieldRef=_object(apiVersion=_TEXT, fieldPath=_TEXT),
    resourceFieldRef=_object(containerName=_TEXT, resource=_TEXT, divisor=_QUANTITY),
)
CONFIG_MAP: Final = Shape(
    _object(name=_TEXT, items=_KEYS, optional=_YES_OR_NO, defaultMode=_NUMBER)
)
CSI: Final = Shape(
    _object(
        driver=_TEXT,
        fsType=_TEXT,
        nodePublishSecretRef=_NAMED,
        readOnly=_YES_OR_NO,
        volumeAttributes=_map(_text(4096), MAX_ENTRIES),
    )
)
DOWNWARD_API: Final = Shape(_object(items=_POD_FIELDS, defaultMode=_NUMBER))
EMPTY_DIR: Final = Shape(_object(medium=_TEXT, sizeLimit=_QUANTITY))
_SOURCE: Final = _object(apiGroup=_TEXT, kind=_TEXT, name=_TEXT)
EPHEMERAL: Final = Shape(
    _object(
        volumeClaimTemplate=_object(
            metadata=_object(labels=_map(_TEXT), annotations=_map(_text(4096))),
            spec=_object(
                accessModes=_TEXTS,
                dataSource=_SOURCE,
                dataSourceRef=_object(apiGroup=_TEXT, kind=_TEXT, name=_TEXT, namespace=_TEXT),
                resources=_object(requests=_map(_QUANTITY), limits=_map(_QUANTITY)),
                selector=_SELECTOR,
                storageClassName=_TEXT,
                volumeAttributesClassName=_TEXT,
                volumeMode=_TEXT,
                volumeName=_TEXT,
            ),
        )
    )
)
IMAGE: Final = Shape(_object(reference=_TEXT, pullPolicy=_TEXT))
CLAIM: Final = Shape(_object(claimName=_TEXT, readOnly=_YES_OR_NO))
PROJECTED: Final = Shape(
    _object(
        defaultMode=_NUMBER,
        sources=_list(
            _object(
                clusterTrustBundle=_object(
                    name=_TEXT,
                    signerName=_TEXT,
                    labelSelector=_SELECTOR,
                    optional=_YES_OR_NO,
                    path=_TEXT,
                ),
                configMap=_CONFIG_MAP_KEYS,
                downwardAPI=_object(items=_POD_FIELDS),
                podCertificate=_object(
                    signerName=_TEXT,
                    keyType=_TEXT,
                    maxExpirationSeconds=_NUMBER,
                    credentialBundlePath=_TEXT,
                    keyPath=_TEXT,
                    certificateChainPath=_TEXT,
                    userAnnotations=_map(_text(4096)),
                ),
                secret=_CONFIG_MAP_KEYS,
                serviceAccountToken=_object(audience=_TEXT, expirationSeconds=_NUMBER, path=_TEXT),
            )
        ),
    )
)
SECRET: Final = Shape(
    _object(secretName=_TEXT, items=_KEYS, optional=_YES_OR_NO, defaultMode=_NUMBER)
)
