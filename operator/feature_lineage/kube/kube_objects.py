"""Secrets and ConfigMaps of the cluster: read by name when they are needed, and not cached.

The chart gives the operator no permission to read Secrets: a tenant grants it for single names. The
error for a missing permission has the command that grants it.
"""

import base64
from collections.abc import Mapping
from typing import Final

from feature_lineage.errors import AccessRefused, NotFound
from feature_lineage.kube.api_client import Api
from feature_lineage.kube.api_errors import Forbidden
from feature_lineage.kube.kinds import CONFIG_MAPS, SECRETS, Kind
from feature_lineage.objects import ObjectKind
from feature_lineage.reasons import Reason

_KINDS: Final[Mapping[ObjectKind, Kind]] = {"Secret": SECRETS, "ConfigMap": CONFIG_MAPS}


class KubeObjects:
    """`Objects` of the cluster host.

    Args:
        account: ``namespace/name`` of the operator's ServiceAccount, for the command in an error.
    """

    def __init__(self, api: Api, account: str) -> None:
        self._api = api
        self._account = account

    async def contents(self, kind: ObjectKind, namespace: str, name: str) -> Mapping[str, bytes]:
        try:
            found = await self._api.get(_KINDS[kind], namespace, name)
        except NotFound as error:
            raise NotFound(
                f"{kind} {namespace}/{name} does not exist; create it, or correct the reference",
                reason=Reason.SECRET_NOT_FOUND if kind == "Secret" else Reason.REF_NOT_FOUND,
            ) from error
        except Forbidden as error:
            if kind == "ConfigMap":
                raise
            raise AccessRefused(
                f"the operator may not read Secret {namespace}/{name}; allow it with: "
                f"feature-lineage grant {name} --namespace {namespace} "
                f"--service-account {self._account} | kubectl apply -f -",
                reason=Reason.SECRET_FORBIDDEN,
            ) from error
        encoded = {**(found.get("binaryData") or {})} if kind == "ConfigMap" else found.get("data")
        contents = {key: base64.b64decode(value) for key, value in (encoded or {}).items()}
        if kind == "ConfigMap":
            contents |= {key: text.encode() for key, text in (found.get("data") or {}).items()}
        return contents
