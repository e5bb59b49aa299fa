"""Where a test imports Feast itself, it is as a job does: type checks wait for their first call."""

from contextlib import ExitStack

import pytest

from feature_lineage.runner.lazy_typeguard import lazy_typeguard


def pytest_configure(config: pytest.Config) -> None:
    opened = ExitStack()
    opened.enter_context(lazy_typeguard())
    config.add_cleanup(opened.close)
