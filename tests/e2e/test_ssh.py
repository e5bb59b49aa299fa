"""A repository over ssh, with the ssh client of the images and the key of a Secret.

The operator resolves the ref, and a job fetches the commit. Both run as user 65532.
"""

from pathlib import Path

from tests.cluster.host.polling import condition, says
from tests.e2e.conftest import CreateTenant
from tests.e2e.node_files import ADDRESS
from tests.e2e.project_fixture import both, recorded
from tests.e2e.tenant import Tenant
from tests.local.scene import FEATURES, write_repo
from tests.servers.sshd import SshServer

from feature_lineage.kube.api_client import Object


def keys(server: SshServer, key: bytes) -> Object:
    data = {"ssh-privatekey": key.decode(), "known_hosts": server.known_hosts}
    metadata = {"name": "git-key"}
    return {"kind": "Secret", "metadata": metadata, "type": "kubernetes.io/ssh-auth"} | {
        "stringData": data
    }


def commit(server: SshServer, tenant: Tenant, features: str) -> str:
    tree = server.folder / f"{tenant.project}.tree"
    if not tree.exists():
        server.create(tenant.project)
        repo = write_repo(tree / "feature_repo", tenant.project)
        (repo / "feature_store.yaml").unlink()  # it is in the Secret
    return server.commit(tenant.project, **{"feature_repo/features.py": features})


async def test_ssh_repository_is_applied_with_the_right_key(
    create_tenant: CreateTenant, tmp_path: Path
) -> None:
    tenant = create_tenant("ssh")
    with SshServer(tmp_path / "ssh", address=ADDRESS) as server:
        first = commit(server, tenant, FEATURES)
        tenant.apply(keys(server, server.key))
        tenant.grant("git-key")
        git = {
            "url": server.url(tenant.project),
            "ref": {"branch": "main"},
            "path": "feature_repo",
            "secretRef": {"name": "git-key"},
        }
        await tenant.create_project(source={"git": git, "pollInterval": "2s"})
        project = await tenant.until(both(recorded(1), says("Ready", "True")))
        assert project["status"]["applied"]["revision"] == first

        tenant.apply(keys(server, server.other_key))
        project = await tenant.until(says("SourceReady", "False", "AuthFailed"))
        assert "secretRef" in condition(project, "SourceReady")["message"]
        assert condition(project, "Applied")["status"] == "True"  # the revision in effect is kept

        tenant.apply(keys(server, server.key))
        second = commit(server, tenant, f"{FEATURES}\n# Another commit, the same features.\n")
        project = await tenant.until(both(recorded(2), says("SourceReady", "True")))
        assert project["status"]["applied"]["revision"] == second
