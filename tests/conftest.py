"""Tests that import Feast do so as a job does: its type checks are compiled on their first call."""

from contextlib import ExitStack

import pytest

from feature_lineage.runner.lazy_typeguard import lazy_typeguard


def pytest_configure(config: pytest.Config) -> None:
    opened = ExitStack()
    opened.enter_context(lazy_typeguard())
    config.add_cleanup(opened.close)
