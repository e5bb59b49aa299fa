"""Repos with faulty code: each report names the file, and nothing is written."""

import pytest
from tests.contract.runner.harness import Zygote, request
from tests.contract.runner.repos import Repo, simple

from feature_lineage.operations.job_report import ExitCode, Outcome

ODFV = """
import sys

from feast import Field, RequestSource
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float64, Int64

@on_demand_feature_view(
    sources=[RequestSource(name="asked", schema=[Field(name="x", dtype=Int64)])],
    schema=[Field(name="y", dtype=Float64)],
)
def leaves(df):
    sys.exit(3)
"""
IMPORTS = """\
from feast import Entity, FeatureService, FeatureView, ValueType
from features import a, driver, stats
"""
BAD = {
    "a syntax error": ("def f(:\n", "bad.py:1: SyntaxError: "),
    "a missing package": (
        "\nimport notthere.at_all\n",
        "bad.py:2: there is no module named 'notthere': add 'notthere' to this machine",
    ),
    "a missing name": ("from feast import Nothing\n", "bad.py:1: ImportError: "),
    "an exception": ("x = 1\nx / 0\n", "bad.py:2: ZeroDivisionError: division by zero"),
    "sys.exit": (
        "import sys\nsys.exit(0)\n",
        "bad.py:2: the repo's code calls sys.exit(0)",
    ),
    "BaseException": ("raise BaseException('no')\n", "bad.py:1: BaseException: no"),
    "KeyboardInterrupt": ("raise KeyboardInterrupt\n", "bad.py:1: KeyboardInterrupt"),
    "endless recursion": (
        "def f():\n    f()\nf()\n",
        "bad.py:2: RecursionError: the repo's code has an endless recursion",
    ),
    "sys.exit in a function": (ODFV, "bad.py:13: the repo's code calls sys.exit(3)"),
    "a circular import": ("from bad import later\nlater = 1\n", "bad.py:1: ImportError: "),
    "two views of one name": (
        f"{IMPORTS}other = FeatureView(name='a', entities=[driver], source=stats)\n",
        "'a'",
    ),
    "two entities of one name": (
        f"{IMPORTS}other = Entity(name='driver', join_keys=['x'], value_type=ValueType.INT64)\n",
        "two different objects of kind entity are named 'driver'",
    ),
    "two services of one name": (
        f"{IMPORTS}s = [FeatureService(name='s', features=x) for x in ([a], [])]\none, two = s\n",
        "two different objects of kind feature service are named 's'",
    ),
    "another project": (
        "from feast import Project\nother = Project(name='other')\n",
        "the repo defines Project 'other', feature_store.yaml says 'ranking'",
    ),
}
HEAD = "project: ranking\nprovider: local\nentity_key_serialization_version: 3\n"
NAMES = {
    "json.py": "json.py: 'json' is the name of a module of Python's standard library",
    "pandas.py": "pandas.py: 'pandas' is the name of a package that is already loaded",
    "email/views.py": "email/views.py: 'email' is the name of a module of Python's standard",
}


@pytest.mark.parametrize("what", BAD)
def test_code_that_cannot_be_applied(what: str, repo: Repo, zygote: Zygote) -> None:
    text, message = BAD[what]
    repo.views(a="trips:Int64").write(text, "bad.py")

    report = zygote.run(request("apply", repo.path))

    assert (report.outcome, report.reason) == (Outcome.FAILED, "InvalidRepo")
    assert report.exit_code == ExitCode.TERMINAL
    assert message in report.message
    assert "\n" not in report.message
    assert len(report.message) < 1000
    assert not (repo.stores.folder / "registry.db").exists()


@pytest.mark.parametrize("name", NAMES)
def test_files_that_import_would_pass_over(name: str, repo: Repo, zygote: Zygote) -> None:
    repo.views(a="trips:Int64").write("x = 1\n", name)

    report = zygote.run(request("apply", repo.path))

    assert report.reason == "InvalidRepo"
    assert report.message.startswith(NAMES[name])

    (repo.path / ".feastignore").write_text(f"{name}\n")
    assert zygote.run(request("apply", repo.path)).outcome is Outcome.SUCCEEDED


def test_code_that_is_merely_odd(repo: Repo, zygote: Zygote) -> None:
    """Equal definitions twice, a dash in a name and a changed directory are not errors."""
    repo.views(a="trips:Int64").write(
        """
        import os, tempfile
        from feast import Entity, ValueType
        os.chdir(tempfile.gettempdir())
        again = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)
        """,
        "my-views.py",
    )
    repo.write(simple(), "package/__init__.py")
    text = repo.yaml().replace(str(repo.stores.folder), "data")
    (repo.path / "feature_store.yaml").write_text(text)

    report = zygote.run(request("apply", repo.path))

    assert report.outcome is Outcome.SUCCEEDED, report.message
    assert (repo.stores.folder / "registry.db").exists()
    assert repo.stores.tables("ranking") == {"a"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "there is no feature_store.yaml in the repo"),
        ("project: [", "feature_store.yaml is no YAML: "),
        ("just words", "feature_store.yaml must hold a mapping"),
        ("provider: local", "feature_store.yaml is not valid: "),
        (
            f"{HEAD}registry: data/r.db\nonline_store: {{type: never}}\n",
            "feature_store.yaml is not valid: FeastOnlineStoreInvalidName: ",
        ),
        (
            f"{HEAD}registry: data/r.db\nonline_store: {{type: milvus}}\n",
            "feature_store.yaml is not valid: it needs the package 'pymilvus': add it to",
        ),
        (
            f"{HEAD}registry: data/r.db\noffline_store: {{type: bigquery}}\n",
            "feature_store.yaml is not valid: it needs the package 'google.api_core' (Feast's",
        ),
        (
            f"{HEAD}registry: ${{FEAST_DATA_UNSET}}/r\nonline_store: {{path: $FEAST_ON_UNSET}}\n",
            "feature_store.yaml uses variables that are not set: FEAST_DATA_UNSET, FEAST_ON_UNSET;",
        ),
        (f"{HEAD}registry: 5\n", "feature_store.yaml is not valid: registry: give it a path"),
        (f"{HEAD}registry: ftp://x/y\n", "feature_store.yaml is not valid: registry: ftp:// is"),
        (
            f"{HEAD}registry: {{registry_type: sql, path: no-url}}\n",
            "registry.path is no database URL",
        ),
        (
            f"{HEAD}registry: {{registry_type: sql, path: 'oracle://h/d'}}\n",
            "there is no module named 'oracledb': add 'oracledb' to this machine",
        ),
    ],
)
def test_a_feature_store_yaml_that_is_none(
    text: str | None, message: str, repo: Repo, zygote: Zygote
) -> None:
    (repo.path / "feature_store.yaml").unlink()
    if text is not None:
        (repo.path / "feature_store.yaml").write_text(text)

    for kind in ("plan", "apply", "observe", "materialize", "delete"):
        report = zygote.run(request(kind, repo.path))

        assert (report.reason, report.exit_code) == ("InvalidRepo", ExitCode.TERMINAL), kind
        assert report.message.startswith(message)
        assert not list(repo.path.glob("*$*")), "no folder has the name of a variable"
