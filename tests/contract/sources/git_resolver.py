"""Resolves refs as the operator in a cluster does, with the Secrets of tenants."""

import base64
from collections.abc import Mapping
from typing import Any

from tests.servers.sshd import SshServer

from feature_lineage.api import ConfigMap, FeatureStoreProject, Secret
from feature_lineage.local.folder_objects import FolderObjects
from feature_lineage.sources.project_sources import cluster_sources

LOGIN = "x-access-token:t0k3n"
TOKEN = {"token": b"t0k3n\n"}


def key_of(server: SshServer) -> dict[str, bytes]:
    """The Secret with this key."""
    return {"ssh-privatekey": server.key, "known_hosts": server.known_hosts.encode()}


async def resolve(
    url: str,
    secret: Mapping[str, bytes] | None = None,
    authority: bytes | None = None,
    **ref: str,
) -> str:
    """Return the commit that the operator finds; branch main if `ref` is not set."""
    objects: list[Secret | ConfigMap] = []
    if secret is not None:
        data = {key: base64.b64encode(value).decode() for key, value in secret.items()}
        objects.append(Secret.model_validate({"metadata": {"name": "git"}, "data": data}))
    if authority is not None:
        text = {"ca.crt": authority.decode()}
        objects.append(ConfigMap.model_validate({"metadata": {"name": "ca"}, "data": text}))
    named = project(url, ref, login=secret is not None, bundle=authority is not None)
    facts = await cluster_sources(FolderObjects(objects), "runner:1", lambda _: True).resolve(named)
    return facts.revision


def project(
    url: str,
    ref: Mapping[str, str],
    *,
    name: str = "ranking",
    login: bool = False,
    bundle: bool = False,
) -> FeatureStoreProject:
    """A project with that source, with the Secret ``git`` and the CA in ConfigMap ``ca``."""
    git: dict[str, Any] = {"url": url, "ref": ref or {"branch": "main"}}
    if login:
        git["secretRef"] = {"name": "git"}
    if bundle:
        git["caBundle"] = {"configMapKeyRef": {"name": "ca", "key": "ca.crt"}}
    spec = {"project": "ranking", "source": {"git": git}}
    return FeatureStoreProject.model_validate({"metadata": {"name": name}, "spec": spec})
