"""The code that a user-defined function uses in its repo."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import pytest

from feature_lineage.runner.closures import closures_of

BASE = """
import functools
import math
import re

from LIB import twice

FACTOR = 3
NAMES = {"b", "a", "c"}
TABLE = {"x": [1, (2, 3)], "y": None}
PATTERN = re.compile("a+" * 300)


class Base:
    unit = 1


class Scale(Base):
    offset = 2

    def apply(self, value):
        return value * FACTOR

    @staticmethod
    def clip(value):
        return min(value, LIMIT)

    @property
    def size(self):
        return self.unit


LIMIT = 10
SCALE = Scale()


def logged(function):
    @functools.wraps(function)
    def wrapper(*args):
        print("called")
        return function(*args)
    return wrapper


@logged
def helper(value, power=2):
    if value in NAMES:
        return helper(value)
    return math.pow(SCALE.apply(value), power) + len(TABLE)


@functools.cache
def cached(value):
    return value + 1


def unrelated(value):
    return value - 1


def function(frame):
    def inner(value):
        return helper(value) + cached(value) + twice(value)
    return [inner(value) for value in frame if PATTERN.match(value)]
"""
LIB = "def twice(value):\n    return value * 2\n"
Digest = Callable[[str, str], str]


@pytest.fixture
def digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Digest]:
    """Import a repo of two files and return the digest of the code that its ``function`` uses."""
    loaded: list[str] = []

    def of(text: str, lib: str = LIB) -> str:
        unique = uuid4().hex
        root = tmp_path / unique
        root.mkdir()
        name, lib_name = f"m{unique}", f"l{unique}"
        loaded.extend((name, lib_name))
        (root / f"{lib_name}.py").write_text(lib)
        (root / f"{name}.py").write_text(text.replace("LIB", lib_name))
        monkeypatch.syspath_prepend(str(root))
        module = __import__(name)
        view = SimpleNamespace(
            name="view", feature_transformation=SimpleNamespace(udf=module.function)
        )
        contents = SimpleNamespace(
            on_demand_feature_views=[view], stream_feature_views=[], feature_views=[]
        )
        return closures_of(contents, root)["view"]

    yield of
    for name in loaded:
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("FACTOR = 3", "FACTOR = 4"),
        ('"b", "a", "c"', '"b", "a", "d"'),
        ("(2, 3)", "(2, 4)"),
        ('"a+" * 300', '"a+" * 301'),
        ("unit = 1", "unit = 2"),
        ("offset = 2", "offset = 5"),
        ("return value * FACTOR", "return value + FACTOR"),
        ("LIMIT = 10", "LIMIT = 11"),
        ("return self.unit", "return -self.unit"),
        ('print("called")', 'print("was called")'),
        ("power=2", "power=3"),
        ("math.pow(SCALE", "math.fmod(SCALE"),
        ("return value + 1", "return value + 2"),
        ("+ twice(value)", "- twice(value)"),
    ],
)
def test_what_changes_it(old: str, new: str, digest: Digest) -> None:
    assert old in BASE

    assert digest(BASE, LIB) != digest(BASE.replace(old, new), LIB)


def test_another_file_of_the_repo_changes_it(digest: Digest) -> None:
    assert digest(BASE, LIB) != digest(BASE, LIB.replace("* 2", "* 3"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", ""),
        ("FACTOR = 3", "\n\n# a comment\nFACTOR  =  3  # and one more"),
        ('"b", "a", "c"', "'c', 'a', 'b'"),
        ('{"x": [1, (2, 3)], "y": None}', '{"y": None, "x": [1, (2, 3)]}'),
        ("return value - 1", "return value - 2"),
    ],
)
def test_what_does_not_change_it(old: str, new: str, digest: Digest) -> None:
    """Its location, its formatting, and code that it does not use."""
    assert digest(BASE, LIB) == digest(BASE.replace(old, new), LIB)


def test_a_lambda_inside_a_call(digest: Digest) -> None:
    text = "def keep(f, *rest):\n    return f\n\n\n"
    text += "function = keep(lambda v: v + FACTOR, 1)\nFACTOR = 1\n"

    assert digest(text, LIB) != digest(text.replace("v + FACTOR", "v - FACTOR"), LIB)
    assert digest(text, LIB) != digest(text.replace("FACTOR = 1", "FACTOR = 2"), LIB)
    assert digest(text, LIB) == digest(text.replace("FACTOR, 1)", "FACTOR, 2)"), LIB)


@pytest.mark.parametrize(
    "constant",
    ["object()", "iter(())", "(lambda: 1, lambda: 2)", "__import__('threading').Lock()"],
)
def test_what_cannot_be_read_off_takes_every_file(
    constant: str, digest: Digest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("feature_lineage.runner.closures._whole_repo", lambda repo: "whole")

    text = f"THING = {constant}\n\n\ndef function(frame):\n    return THING\n"

    assert digest(text, LIB) == "whole"


@pytest.mark.parametrize(
    "statement",
    ["from own_helper import scale", "import own_helper; scale = own_helper.scale"],
)
@pytest.mark.parametrize("changed", ["own_helper", "own_deeper"])
def test_a_helper_that_is_imported_in_the_body_changes_it(
    statement: str, changed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {
        "own_features": f"def function(v):\n    {statement}\n    return scale(v)\n",
        "own_helper": "from own_deeper import FACTOR\ndef scale(v):\n    return v * FACTOR\n",
        "own_deeper": "FACTOR = 2\n",
    }

    def digest_in(root: Path, texts: dict[str, str]) -> str:
        root.mkdir()
        for name, text in texts.items():
            (root / f"{name}.py").write_text(text)
            sys.modules.pop(name, None)
        with monkeypatch.context() as patch:
            patch.syspath_prepend(str(root))
            function = __import__("own_features").function
            function(1)
            view = SimpleNamespace(
                name="view", feature_transformation=SimpleNamespace(udf=function)
            )
            contents = SimpleNamespace(
                on_demand_feature_views=[view], stream_feature_views=[], feature_views=[]
            )
            found = closures_of(contents, root)["view"]
        for name in texts:
            sys.modules.pop(name, None)
        return found

    other = {**files, changed: files[changed].replace("* FACTOR", "+ FACTOR").replace("2", "3")}
    before = digest_in(tmp_path / "a", files)

    assert before == digest_in(tmp_path / "b", files)
    assert before != digest_in(tmp_path / "c", other)
