"""Fixtures on real servers, for conftests to import; a session shares one server of a kind."""

import atexit
import tempfile
from functools import cache
from pathlib import Path

import pytest
from tests.servers.mlflow import Server, start_mlflow


@cache
def shared_mlflow() -> Server:
    """The one MLflow server of this process, started at first use and stopped at its end.

    Cached here rather than by pytest: a fixture that several conftests import is several fixtures.
    """
    folder = tempfile.TemporaryDirectory(prefix="mlflow-")
    server = start_mlflow(Path(folder.name))
    atexit.register(folder.cleanup)
    atexit.register(server.stop)
    return server


@pytest.fixture(scope="session")
def mlflow_server() -> Server:
    return shared_mlflow()
