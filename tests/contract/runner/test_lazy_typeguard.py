"""Feast's type checks work in a job, although each is compiled only on its first call."""

import json
import subprocess
import sys
from typing import Any

import pytest

_LATE = (
    "from feature_lineage.runner.lazy_typeguard import lazy_typeguard\nwith lazy_typeguard():\n    "
)
_TOLD = """
import json, typeguard
from feast import Entity, FeatureService, FeatureView, Field, FileSource, Project
from feast.data_source import DataSource
from feast.types import Int64

def complaint(make):
    try:
        return repr(make())
    except TypeError as error:
        return f"TypeError: {error}"
    except typeguard.TypeCheckError as error:
        return f"TypeCheckError: {error}"

source = FileSource(path="rows.parquet")
view = FeatureView(name="stats", source=source, schema=[Field(name="n", dtype=Int64)])

# Written for a Feast that had fewer abstract methods; today's makes it all the same.
class OlderPlugin(DataSource):
    def to_proto(self):
        return None

def renamed():
    view.description = 5
    return view.description

print(json.dumps({
    "compiled for each method": hasattr(vars(FeatureView)["__init__"], "__wrapped__"),
    "decorator is typeguard's": typeguard.typechecked.__module__,
    "name": complaint(lambda: Entity(name=5)),
    "list": complaint(lambda: FeatureService(name="s", features="stats")),
    "classmethod": complaint(lambda: Project.from_proto("no proto")),
    "attribute": complaint(renamed),
    "plugin": complaint(lambda: type(OlderPlugin(name="old")).__name__),
    "fine": complaint(lambda: Field(name="n", dtype=Int64)),
    "doc": FeatureView.__init__.__doc__,
}))
"""


def _told(imports: str) -> dict[str, Any]:
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", imports + "import feast\n" + _TOLD],
        capture_output=True,
        text=True,
        check=True,
    )
    result: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return result


@pytest.fixture(scope="module")
def stock() -> dict[str, Any]:
    return _told("")


@pytest.fixture(scope="module")
def late() -> dict[str, Any]:
    return _told(_LATE)


def test_what_feast_refuses_is_refused_in_the_same_words(
    stock: dict[str, Any], late: dict[str, Any]
) -> None:
    for what in ("name", "list", "classmethod"):
        assert "TypeCheckError" in late[what], what
    assert late["plugin"] == "'OlderPlugin'"
    assert {**late, "compiled for each method": False} == stock


def test_feast_is_marked_as_this_expects_else_it_saves_nothing(late: dict[str, Any]) -> None:
    assert late["compiled for each method"] is True
