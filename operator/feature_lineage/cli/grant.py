"""``feature-lineage grant``: a Role and a RoleBinding for each named Secret."""

import hashlib
import re
from typing import Final

import click
import yaml

from feature_lineage.errors import InvalidManifest

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_LONGEST: Final = 253
_HASH: Final = 8


def run_grant(secrets: tuple[str, ...], namespace: str, service_account: str) -> None:
    """Print the manifests.

    Raises:
        InvalidManifest: a name is not valid in Kubernetes.
    """
    owner, slash, account = service_account.partition("/")
    if not slash:
        raise InvalidManifest(
            f"--service-account {service_account!r} has no namespace; write NAMESPACE/NAME"
        )
    for name in (*secrets, namespace, owner, account):
        if not _NAME.fullmatch(name) or len(name) > _LONGEST:
            raise InvalidManifest(
                f"{name!r} is not a valid name of a Kubernetes object; correct it"
            )
    click.echo(yaml.safe_dump_all(grant_manifests(secrets, namespace, owner, account)), nl=False)


def grant_manifests(
    secrets: tuple[str, ...], namespace: str, owner: str, account: str
) -> list[dict[str, object]]:
    """A Role and a RoleBinding to the ServiceAccount ``owner/account`` for each of `secrets`.

    With one Role for all Secrets, a later grant of other Secrets would revoke an earlier one.
    """
    return [
        manifest
        for secret in sorted(set(secrets))
        for manifest in _grant(secret, namespace, owner, account)
    ]


def _grant(secret: str, namespace: str, owner: str, account: str) -> list[dict[str, object]]:
    name = _name(account, secret)
    group = "rbac.authorization.k8s.io"
    metadata = {"name": name, "namespace": namespace}
    rule = {
        "apiGroups": [""],
        "resources": ["secrets"],
        "resourceNames": [secret],
        "verbs": ["get"],
    }
    return [
        {
            "apiVersion": f"{group}/v1",
            "kind": "Role",
            "metadata": dict(metadata),
            "rules": [rule],
        },
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": dict(metadata),
            "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": owner}],
        },
    ]


def _name(account: str, secret: str) -> str:
    """A unique name for each Secret, also if two long names differ only at the end."""
    whole = f"{account}-secret-{secret}"
    if len(whole) <= _LONGEST:
        return whole
    digest = hashlib.sha256(whole.encode()).hexdigest()[:_HASH]
    return f"{whole[: _LONGEST - _HASH - 1].rstrip('-.')}-{digest}"
