"""Tracks which MLflow models use which Feast features, and keeps the feature store applied."""

__version__ = "0.1.0"
