"""Which other resources a change of one resource concerns."""

from feature_lineage.api import FeatureStoreProject
from feature_lineage.decide.facts import Key
from feature_lineage.ports import Resources


def competing_projects(
    resources: Resources, before: FeatureStoreProject, after: FeatureStoreProject
) -> tuple[Key, ...]:
    """Resources of the same Feast project, which wait for the elder to name its registry.

    Args:
        before, after: the elder, around a pass; nobody waits for anything else about it.
    """
    told = (before.status.registry, before.status.last_apply)
    if (after.status.registry, after.status.last_apply) == told:
        return ()
    keys = (
        Key("FeatureStoreProject", other.metadata.namespace, other.metadata.name)
        for other in resources.projects()
        if other.spec.project == after.spec.project
    )
    own = Key("FeatureStoreProject", after.metadata.namespace, after.metadata.name)
    return tuple(key for key in keys if key != own)
