"""Fixtures with real servers, for conftests to import; a session shares one server of each kind."""

import atexit
import tempfile
from functools import cache
from pathlib import Path

import pytest
from tests.cluster.servers import ReaperClient
from tests.servers.mlflow import Server, launch_mlflow


@cache
def shared_mlflow() -> Server:
    """The one MLflow server of this process, started at first use; ended with the process.

    Cached here and not by pytest: a fixture that several conftests import is several fixtures.
    """
    folder = Path(tempfile.mkdtemp(prefix="mlflow-"))
    reaper = ReaperClient("mlflow-reaper-")
    atexit.register(reaper.close)
    server = launch_mlflow(folder)
    reaper.adopt(server.pid, folder)
    atexit.register(server.stop)
    server.wait_healthy()
    return server


@pytest.fixture(scope="session")
def mlflow_server() -> Server:
    return shared_mlflow()
