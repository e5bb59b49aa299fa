"""The custom resources of `featurelineage.io/v1alpha1`: their fields, defaults and rules.

The CRDs under `crds/` are generated from these types. The same types validate manifests without an
API server: on a laptop, and in a pull-request check. All other packages get validated, frozen
values.
"""

from feature_lineage.api.base import API_VERSION, GROUP, VERSION
from feature_lineage.api.core_v1 import ConfigMap, Secret
from feature_lineage.api.meta import Condition, ObjectMeta
from feature_lineage.api.resources import FeatureStoreProject, TrainedModel
from feature_lineage.api.types import Duration

__all__ = [
    "API_VERSION",
    "GROUP",
    "VERSION",
    "Condition",
    "ConfigMap",
    "Duration",
    "FeatureStoreProject",
    "ObjectMeta",
    "Secret",
    "TrainedModel",
]
