"""The revision of a folder: only files that define features count, also while a user edits them."""

from pathlib import Path

import pytest

from feature_lineage.errors import TerminalError
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


def test_a_folder_with_too_many_files_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "MAX_FILES", 3)
    for number in range(3):
        (tmp_path / f"{number}.py").write_text("")
    tree_revision(tmp_path)

    (tmp_path / "3.py").write_text("")

    with pytest.raises(TerminalError, match="more than 3 definition files"):
        tree_revision(tmp_path)


def test_a_file_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "MAX_FILE_BYTES", 10)
    (tmp_path / "features.py").write_bytes(b"#" * 10)
    tree_revision(tmp_path)

    (tmp_path / "features.py").write_bytes(b"#" * 11)

    with pytest.raises(TerminalError, match="is larger than 10 bytes; keep data out"):
        tree_revision(tmp_path)


@pytest.mark.parametrize("target", ["secret.py", "folder"])
def test_a_link_that_leads_out_of_the_folder_is_ignored(tmp_path: Path, target: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/secret.py").write_text("a = 1\n")
    (tmp_path / "secret.py").write_text("a = 1\n")
    repo = tmp_path / "repo"
    repo.mkdir()
    (repo / "features.py").write_text("a = 1\n")
    before = tree_revision(repo)

    (repo / "link.py").symlink_to(tmp_path / target)

    assert tree_revision(repo) == before
