"""The MLflow server that tests and the demo share; in `examples`, because it imports no tests."""

from examples.mlflow_server import START_DEADLINE, Server, free_port, launch_mlflow, start_mlflow

__all__ = ["START_DEADLINE", "Server", "free_port", "launch_mlflow", "start_mlflow"]
