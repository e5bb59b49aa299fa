"""The batch size of a materialization follows from the memory limit and the width of the view."""

from pathlib import Path

import pytest

from feature_lineage.runner.memory import MOST_ROWS, batch_rows, memory_limit

MIB = 1024**2
HOST = "0::/"


@pytest.mark.parametrize(
    ("limit", "values", "rows"),
    [
        pytest.param(2048 * MIB, 10, MOST_ROWS, id="the default pod"),
        pytest.param(2048 * MIB, 200, 1297, id="a wide view in the default pod"),
        pytest.param(512 * MIB, 10, 5461, id="a small pod"),
        pytest.param(512 * MIB, 10_000, 100, id="never fewer than a hundred"),
        pytest.param(1 << 62, 1, MOST_ROWS, id="a large machine"),
    ],
)
def test_a_batch_takes_an_eighth_of_the_limit(limit: int, values: int, rows: int) -> None:
    assert batch_rows(limit, values) == rows


@pytest.mark.parametrize(
    ("group", "limits", "expected"),
    [
        pytest.param(HOST, {"memory.max": "1048576"}, 1048576, id="v2, as a container sees it"),
        pytest.param(
            "0::/pods/one",
            {"pods/one/memory.max": "max", "pods/memory.max": "4096"},
            4096,
            id="v2, the parent has the limit",
        ),
        pytest.param(
            "4:memory:/kubepods/one",
            {"memory/memory.limit_in_bytes": "8192"},
            8192,
            id="v1, in a container that does not see the host's path",
        ),
        pytest.param(
            "4:cpu,memory:/one\n0::/",
            {"memory/one/memory.limit_in_bytes": "16384", "memory.max": "32768"},
            16384,
            id="the smaller one of both",
        ),
    ],
)
def test_the_limit_is_the_smallest_one(
    group: str, limits: dict[str, str], expected: int, tmp_path: Path
) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(f"{group}\n")
    for name, text in limits.items():
        file = tmp_path / "sys/fs/cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")

    assert memory_limit(tmp_path) == expected


@pytest.mark.parametrize("text", ["max", "9223372036854771712"])
def test_without_a_limit_it_is_that_of_the_machine(text: str, tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/\n")
    (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup/memory.max").write_text(text)

    assert 64 * MIB < memory_limit(tmp_path) < 1 << 46
    assert memory_limit(tmp_path) == memory_limit(tmp_path / "no such folder")
