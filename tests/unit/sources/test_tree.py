"""The revision of a folder: only files that define features count, also while a user edits them."""

from pathlib import Path

import pytest

from feature_lineage.sources import tree
from feature_lineage.sources.tree import tree_revision


def test_a_broken_link_is_no_defining_file(tmp_path: Path) -> None:
    (tmp_path / "features.py").write_text("a = 1\n")
    before = tree_revision(tmp_path)

    (tmp_path / ".#features.py").symlink_to("user@host.1234:1700000000")

    assert tree_revision(tmp_path) == before


def test_a_file_removed_while_it_is_read_is_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "features.py").write_text("a = 1\n")
    before = tree_revision(tmp_path)
    vanished = tmp_path / "features.py~.py"
    files = [*tree.defining_files(tmp_path), vanished]
    monkeypatch.setattr(tree, "defining_files", lambda root: iter(files))

    assert tree_revision(tmp_path) == before


def test_a_folder_removed_meanwhile_is_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "features.py").write_text("a = 1\n")
    before = tree_revision(tmp_path)
    (tmp_path / "build").mkdir()
    listed = Path.iterdir

    def vanishing(folder: Path) -> object:
        if folder.name == "build":
            folder.rmdir()
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", vanishing)

    assert tree_revision(tmp_path) == before
