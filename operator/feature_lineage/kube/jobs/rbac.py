"""RBAC of a project's jobs: the jobs in flight may write their reports, and nothing else.

Applied before each job starts and while it runs. This reverts manual changes, and it revokes the
permission to write the report of an earlier job. The jobs of both lanes share one account.
"""

from feature_lineage.api import FeatureStoreProject
from feature_lineage.api.enums import OperationPhase
from feature_lineage.kube.api_client import Api, Object
from feature_lineage.kube.jobs.names import access_name, labels, owned_by_project, report_names
from feature_lineage.kube.jobs.owned_objects import apply_owned
from feature_lineage.kube.kinds import ROLE_BINDINGS, ROLES, SERVICE_ACCOUNTS, Kind


async def apply_access(api: Api, project: FeatureStoreProject, job: str) -> None:
    """Apply the ServiceAccount, Role and RoleBinding that `job` needs, and a job beside it.

    Raises:
        NotOwned: an object with such a name does not belong to the project.
    """
    for kind, body in access_manifests(project, job):
        await apply_owned(api, kind, project, body)


def _jobs(project: FeatureStoreProject, job: str) -> list[str]:
    """`job`, and the jobs of the project that may be running beside it."""
    waits = OperationPhase.BACKING_OFF
    beside = {each.job for each in project.status.in_flight if each.phase is not waits}
    return sorted(beside | {job})


def access_manifests(project: FeatureStoreProject, job: str) -> list[tuple[Kind, Object]]:
    """The objects in the order of application, without a ServiceAccount that the project sets."""
    account = project.spec.runtime.service_account_name
    name = access_name(project)
    rule = {
        "apiGroups": [""],
        "resources": ["configmaps"],
        "resourceNames": [name for each in _jobs(project, job) for name in report_names(each)],
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
