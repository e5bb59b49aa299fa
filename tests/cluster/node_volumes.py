"""Mounts of a simulated node: ConfigMaps, Secrets, tokens, claims, empty folders."""

import base64
from pathlib import Path
from typing import Any

from feature_lineage.kube.api_client import Api, Object
from feature_lineage.kube.kinds import CONFIG_MAPS, SECRETS, SERVICE_ACCOUNTS, Kind


class Volumes:
    """The volumes of pods, as folders of this machine.

    Args:
        api: client of an administrator.
        claims: content of PersistentVolumeClaims, by name.
    """

    def __init__(self, api: Api, claims: dict[str, Path]) -> None:
        self._api = api
        self._claims = claims

    async def mount(self, pod: Object, home: Path, mount: Object) -> tuple[Path, str, bool]:
        """A folder, its mount path, and whether it is writable."""
        volume = next(v for v in pod["spec"]["volumes"] if v["name"] == mount["name"])
        where = home / "volumes" / volume["name"]
        where.mkdir(parents=True, exist_ok=True)
        where.chmod(0o777)
        match volume:
            case {"persistentVolumeClaim": {"claimName": claim}}:
                where = self._claims[claim]
            case {"configMap": source}:
                _write(where, await self.contents(CONFIG_MAPS, pod, source["name"]), source)
            case {"secret": source}:
                _write(where, await self.contents(SECRETS, pod, source["secretName"]), source)
            case {"projected": {"sources": sources}}:
                for source in sources:
                    await self._project(pod, where, source)
        return where, mount["mountPath"], not mount.get("readOnly", False)

    async def _project(self, pod: Object, where: Path, source: Object) -> None:
        metadata = pod["metadata"]
        namespace = metadata["namespace"]
        match source:
            case {"serviceAccountToken": _}:
                account = pod["spec"]["serviceAccountName"]
                bound = {"kind": "Pod", "apiVersion": "v1", "name": metadata["name"]}
                made = await self._api._request(
                    "POST",
                    SERVICE_ACCOUNTS.path(namespace, account, "token"),
                    body={"spec": {"boundObjectRef": {**bound, "uid": metadata["uid"]}}},
                )
                (where / "token").write_text(made["status"]["token"])
            case {"configMap": each}:
                _write(where, await self.contents(CONFIG_MAPS, pod, each["name"]), each)
            case {"downwardAPI": _}:
                (where / "namespace").write_text(namespace)

    async def contents(self, kind: Kind, pod: Object, name: str) -> dict[str, bytes]:
        """Return keys and values of an object in the namespace of the pod."""
        found = await self._api.get(kind, pod["metadata"]["namespace"], name)
        plain = {key: text.encode() for key, text in (found.get("data") or {}).items()}
        if kind is SECRETS:
            return {key: base64.b64decode(text) for key, text in plain.items()}
        packed = found.get("binaryData") or {}
        return {**plain, **{key: base64.b64decode(text) for key, text in packed.items()}}


def _write(where: Path, contents: dict[str, bytes], source: dict[str, Any]) -> None:
    items = source.get("items") or [{"key": key, "path": key} for key in contents]
    for item in items:
        (where / item["path"]).write_bytes(contents[item["key"]])
    (where / "..data").mkdir(exist_ok=True)  # as the kubelet creates it
