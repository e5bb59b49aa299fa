"""Files from the keys of a ConfigMap, whatever the keys are."""

from pathlib import Path

import pytest

from feature_lineage.errors import TerminalError
from feature_lineage.sources.config_map_source import _named, _write


def test_each_key_is_a_file_and_stale_modules_are_removed(tmp_path: Path) -> None:
    _write(_named({"a__old.py": b"", "data.csv": b"1"}), "", tmp_path)
    _write(_named({"a____new.py": b"x = 1", "b.py__c.py": b"", "b.py__d": b""}), "", tmp_path)

    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {"data.csv", "a/new.py", "b.py/c.py", "b.py/d"}


@pytest.mark.parametrize("key", ["\0", "x" * 256, "é" * 128, "a__..__..__b", "__etc__x", "."])
def test_a_key_that_is_no_file_of_the_repository_is_refused(key: str, tmp_path: Path) -> None:
    with pytest.raises(TerminalError, match="rename the key"):
        _write(_named({key: b""}), "", tmp_path / "repo")


def test_two_keys_of_one_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TerminalError, match=r"'a/b\.py' and 'a//b\.py' are the same file"):
        _write(_named({"a__b.py": b"1", "a____b.py": b"2"}), "", tmp_path)
