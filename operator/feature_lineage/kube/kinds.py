"""The kinds that this operator reads or writes, and their paths on the API server."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from feature_lineage.api import GROUP, VERSION


@dataclass(frozen=True, slots=True)
class Kind:
    """One namespaced kind.

    Attributes:
        group: API group, "" for the core.
        version: version of the group.
        plural: name of the resource in paths and RBAC rules.
        kind: name of the kind in manifests.
    """

    group: str
    version: str
    plural: str
    kind: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """As RBAC and kubectl spell it: ``jobs.batch``, ``configmaps``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """Path of a collection (of every namespace: ""), an object or its subresource."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        parts = [root]
        if namespace:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        if name:
            parts.append(quote(name, safe=""))
        if subresource:
            parts.append(subresource)
        return "/".join(parts)


PROJECTS: Final = Kind(GROUP, VERSION, "featurestoreprojects", "FeatureStoreProject")
MODELS: Final = Kind(GROUP, VERSION, "trainedmodels", "TrainedModel")
JOBS: Final = Kind("batch", "v1", "jobs", "Job")
PODS: Final = Kind("", "v1", "pods", "Pod")
CONFIG_MAPS: Final = Kind("", "v1", "configmaps", "ConfigMap")
SECRETS: Final = Kind("", "v1", "secrets", "Secret")
SERVICE_ACCOUNTS: Final = Kind("", "v1", "serviceaccounts", "ServiceAccount")
ROLES: Final = Kind("rbac.authorization.k8s.io", "v1", "roles", "Role")
ROLE_BINDINGS: Final = Kind("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")
EVENTS: Final = Kind("events.k8s.io", "v1", "events", "Event")
LEASES: Final = Kind("coordination.k8s.io", "v1", "leases", "Lease")

CUSTOM: Final = {kind.kind: kind for kind in (PROJECTS, MODELS)}

MANAGER: Final = "feature-lineage-operator"
"""Field manager of applied objects, and value of ``app.kubernetes.io/managed-by``."""

MANAGED_BY: Final = "app.kubernetes.io/managed-by"
PROJECT_LABEL: Final = f"{GROUP}/project"
OPERATION_LABEL: Final = f"{GROUP}/operation"
