"""Keeps the line between features (Feast) and models (MLflow) true, visible and safe."""

__version__ = "0.1.0"
