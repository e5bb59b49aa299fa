"""``feature-lineage grant``: a Role and a RoleBinding for single Secrets."""

import re

import click
import yaml

from feature_lineage.errors import InvalidManifest

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


def run_grant(secrets: tuple[str, ...], namespace: str, service_account: str) -> None:
    """Print the manifests.

    Raises:
        InvalidManifest: a name is none that Kubernetes knows.
    """
    owner, slash, account = service_account.partition("/")
    if not slash:
        raise InvalidManifest(
            f"--service-account {service_account!r} has no namespace; write NAMESPACE/NAME"
        )
    for name in (*secrets, namespace, owner, account):
        if not _NAME.fullmatch(name) or len(name) > 253:
            raise InvalidManifest(f"{name!r} is no name of a Kubernetes object; correct it")
    click.echo(yaml.safe_dump_all(grant_manifests(secrets, namespace, owner, account)), nl=False)


def grant_manifests(
    secrets: tuple[str, ...], namespace: str, owner: str, account: str
) -> list[dict[str, object]]:
    """A Role for `secrets` of `namespace`, bound to the ServiceAccount ``owner/account``."""
    name = f"{account}-secrets-{min(secrets)}"[:253].rstrip("-.")
    group = "rbac.authorization.k8s.io"
    metadata = {"name": name, "namespace": namespace}
    rule = {
        "apiGroups": [""],
        "resources": ["secrets"],
        "resourceNames": sorted(secrets),
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
