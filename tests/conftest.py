"""Settings of all tests.

Tests that import Feast do so as a job does: its type checks are compiled on their first call.
Feast's import sets a variable with which prometheus_client keeps its values in files that all
registries of a process share; so prometheus_client is imported before.
"""

import signal
from contextlib import ExitStack

import prometheus_client  # noqa: F401
import pytest
from hypothesis import settings

from feature_lineage.runner.lazy_typeguard import lazy_typeguard


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # As a background command of a script; processes of the tests would inherit it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    settings.register_profile("tests", deadline=None)  # a pause of a busy machine is no failure
    settings.load_profile("tests")
    opened = ExitStack()
    opened.enter_context(lazy_typeguard())
    config.add_cleanup(opened.close)
