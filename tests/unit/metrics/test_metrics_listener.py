"""What the metrics make of the reconciles of a host."""

from tests.unit.metrics.build import NOW, project

from feature_lineage.decide.facts import key_of
from feature_lineage.metrics.metrics_listener import MetricsListener
from feature_lineage.reconcile.reconciler import ReconcileResult


def test_errors_of_sinks_are_counted_from_zero() -> None:
    metrics, reconciled = MetricsListener(), project()
    found = [metrics.registry.get_sample_value("feature_lineage_sink_errors_total")]

    for errors in (0, 2, 1):
        result = ReconcileResult(reconciled, NOW, sink_errors=errors)
        metrics.reconciled(key_of(reconciled), reconciled, result, 0.1)
        found.append(metrics.registry.get_sample_value("feature_lineage_sink_errors_total"))

    assert found == [0.0, 0.0, 2.0, 3.0]
