"""Prometheus metrics: gauges computed from state at scrape time, and counters of events."""

from feature_lineage.metrics.collector import StateCollector
from feature_lineage.metrics.instruments import Instruments, result_of
from feature_lineage.metrics.state import FactTimes, State

__all__ = ["FactTimes", "Instruments", "State", "StateCollector", "result_of"]
