"""Which files a comparison with `skew: Auto` reads."""

from pathlib import Path

import pytest

from feature_lineage.runner.comparison_limits import MAX_FILE_BYTES, MAX_FILES, too_large

HALF = MAX_FILE_BYTES // 2 + 1


def sparse(path: Path, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size)


@pytest.mark.parametrize(
    "path", ["data", "data/*.parquet", "data/**/*.parquet", "file://{repo}/data", "data/day=*"]
)
@pytest.mark.parametrize("large", [False, True])
def test_the_files_of_a_source_are_measured(tmp_path: Path, path: str, large: bool) -> None:
    """Of a folder and of a pattern, also if no single file is too large."""
    folders = ("data", "data") if path == "data/*.parquet" else ("data/day=1", "data/day=2")
    for number, folder in enumerate(folders):
        sparse(tmp_path / folder / f"{number}.parquet", HALF if large else 1000)

    why = too_large(path.format(repo=tmp_path), tmp_path)

    assert why == ("it has more than 100 MiB" if large else "")


def test_no_more_files_are_listed_than_are_measured(tmp_path: Path) -> None:
    for number in range(MAX_FILES + 1):
        (tmp_path / f"{number}.parquet").touch()

    assert too_large("*.parquet", tmp_path) == "it has more than 10,000 files"


def test_a_path_with_the_characters_of_a_pattern_is_measured(tmp_path: Path) -> None:
    sparse(tmp_path / "data[1].parquet", MAX_FILE_BYTES + 1)

    assert too_large("data[1].parquet", tmp_path) == "it has more than 100 MiB"


def test_a_store_of_objects_is_not_read(tmp_path: Path) -> None:
    assert too_large("s3://bucket/rows.parquet", tmp_path) == "it is not a local file"
