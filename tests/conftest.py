"""Settings of all tests.

Tests that import Feast do so as a job does: its type checks are compiled on their first call.
"""

import signal
from contextlib import ExitStack

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
