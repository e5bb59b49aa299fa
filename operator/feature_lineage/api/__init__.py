"""The custom resources of `featurelineage.io/v1alpha1`: what users may write and read, once.

The CRDs under `crds/` are generated from these types, and the same types validate manifests where
no API server is: on a laptop, and in a pull-request check. Everything outside this package sees
validated, frozen values.
"""

from feature_lineage.api.base import API_VERSION, GROUP, VERSION
from feature_lineage.api.core import ConfigMap, Secret
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
