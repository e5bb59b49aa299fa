"""What reconciles share, and what it keeps alive."""

import gc
import weakref
from datetime import UTC, datetime

from feature_lineage.api import FeatureStoreProject
from feature_lineage.decide.observed import ModelFacts
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.models.facts import RegistryView
from feature_lineage.reconcile import observe_model
from feature_lineage.reconcile.cache import CachedFacts, ReconcileCache

NOW = datetime(2026, 11, 30, tzinfo=UTC)
PROJECT = FeatureStoreProject.model_validate(
    {
        "metadata": {"name": "p", "namespace": "ml"},
        "spec": {"project": "churn", "source": {"local": {"path": "."}}},
    }
)


def test_facts_do_not_keep_the_whole_registry() -> None:
    view, other = RegistryView(NOW, {}, {}), RegistryView(NOW, {}, {})
    cached = CachedFacts(view, "d", None, PROJECT.spec, ModelFacts(read_at=NOW))
    assert cached.of(view, "d", None, PROJECT)
    assert not cached.of(other, "d", None, PROJECT)

    kept = weakref.ref(view)
    del view
    gc.collect()
    assert kept() is None
    assert not cached.of(other, "d", None, PROJECT)


def test_states_of_views_do_not_keep_the_registry() -> None:
    cache, snapshot = ReconcileCache(), RegistrySnapshot("churn", {"feature_view": {"v": {}}})
    states = observe_model._states(cache, PROJECT, snapshot)
    same = RegistrySnapshot("churn", {"feature_view": {"v": {}}})
    other = RegistrySnapshot("churn", {"feature_view": {"w": {}}})
    assert observe_model._states(cache, PROJECT, same) is states
    assert observe_model._states(cache, PROJECT, other) is not states

    observe_model._states(cache, PROJECT, snapshot)
    kept = weakref.ref(snapshot)
    del snapshot
    gc.collect()
    assert kept() is None
