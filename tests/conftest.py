"""Where a test imports Feast itself, it is as a job does: type checks wait for their first call."""

from contextlib import ExitStack

import pytest

from feature_lineage.runner.late_checks import late_checks


def pytest_configure(config: pytest.Config) -> None:
    opened = ExitStack()
    opened.enter_context(late_checks())
    config.add_cleanup(opened.close)
