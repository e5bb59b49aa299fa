"""Modules that the process of the operator never loads: Feast, MLflow and pandas are for jobs."""

import subprocess
import sys

import pytest

HEAVY = ("feast", "mlflow", "pandas", "pyarrow", "numpy", "sklearn", "sqlalchemy")
LIGHT = (
    "feature_lineage.local.host",
    "feature_lineage.cli.main",
    "feature_lineage.cli.local",
    "feature_lineage.cli.plan",
    "feature_lineage.cli.show",
    "feature_lineage.runner.supervisor",
)


@pytest.mark.parametrize("module", LIGHT)
def test_the_operator_loads_neither_feast_nor_mlflow_nor_pandas(module: str) -> None:
    code = f"import sys, {module}; print(*sorted(sys.modules.keys() & {set(HEAVY)!r}))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)

    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


def test_the_command_line_loads_only_what_a_command_needs() -> None:
    """``--help`` must be fast, because a user waits for it."""
    late = {"pydantic", "aiohttp", "httpx", "yaml", "kopf", "kubernetes"}
    code = f"import sys, feature_lineage.cli.main; print(*sorted(sys.modules.keys() & {late!r}))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)

    assert done.stdout.strip() == ""


@pytest.mark.parametrize("module", ["local", "plan", "impact", "show"])
def test_aiohttp_is_loaded_only_to_serve_metrics(module: str) -> None:
    code = f"import sys, feature_lineage.cli.{module}; print('aiohttp' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)

    assert (done.stdout.strip(), done.stderr) == ("False", "")
