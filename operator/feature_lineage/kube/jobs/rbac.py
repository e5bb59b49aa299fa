"""What a project's jobs may do at the API server: write their own report, and nothing else.

Applied anew before each job and while it works, so that what somebody changed by hand is put right,
and the report of an earlier job can no longer be written.
"""

from feature_lineage.api import FeatureStoreProject
from feature_lineage.kube.client import Api, Object
from feature_lineage.kube.jobs.names import access_name, labels, owned_by_project, report_names
from feature_lineage.kube.jobs.owned_objects import apply_own
from feature_lineage.kube.kinds import ROLE_BINDINGS, ROLES, SERVICE_ACCOUNTS, Kind


async def ensure(api: Api, project: FeatureStoreProject, job: str) -> None:
    """Make ServiceAccount, Role and RoleBinding what `job` needs.

    Raises:
        NotOwn: an object of such a name is somebody else's.
    """
    for kind, body in manifests(project, job):
        await apply_own(api, kind, project, body)


def manifests(project: FeatureStoreProject, job: str) -> list[tuple[Kind, Object]]:
    """In the order they are applied. A ServiceAccount that the project names is not made."""
    account = project.spec.runtime.service_account_name
    name = access_name(project)
    rule = {
        "apiGroups": [""],
        "resources": ["configmaps"],
        "resourceNames": list(report_names(job)),
        "verbs": ["get", "patch"],
    }
    role = _object(ROLES, project, {"rules": [rule]})
    binding = {
        "roleRef": {"apiGroup": ROLES.group, "kind": ROLES.kind, "name": name},
        "subjects": [
            {
                "kind": SERVICE_ACCOUNTS.kind,
                "name": account or name,
                "namespace": project.metadata.namespace,
            }
        ],
    }
    made = [] if account else [(SERVICE_ACCOUNTS, _object(SERVICE_ACCOUNTS, project, {}))]
    return [*made, (ROLES, role), (ROLE_BINDINGS, _object(ROLE_BINDINGS, project, binding))]


def _object(kind: Kind, project: FeatureStoreProject, fields: Object) -> Object:
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {
            "name": access_name(project),
            "namespace": project.metadata.namespace,
            "labels": labels(project),
            "ownerReferences": owned_by_project(project),
        },
        **fields,
    }
