"""The log check misses nothing: neither logs of deleted pods nor a second restart."""

import json
import shutil
from pathlib import Path

import pytest
from tests.e2e.log_check import LogCheck
from tests.e2e.logs import ContainerLogs
from tests.e2e.operator import LEASE_LOST

LOST = f"{LEASE_LOST}lease a/b was not renewed for 6 s; this process ends"


class Disk:
    """Logs with the layout of a kubelet and the format of containerd."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logs = ContainerLogs(folder, "home")
        self.log_check = LogCheck(self.logs)

    def write(self, pod: str, *lines: str, run: int = 0, tag: str = "F") -> None:
        path = self.folder / f"home_{pod}_some-uid" / "operator" / f"{run}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.writelines(f"2026-11-26T12:00:00.0Z stderr {tag} {line}\n" for line in lines)

    def remove(self, pod: str) -> None:
        shutil.rmtree(self.folder / f"home_{pod}_some-uid")


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


def said(message: str, level: str = "error") -> str:
    return json.dumps({"level": level, "message": message})


def error_of(pod: str, message: str) -> str:
    return f"{pod}: {said(message)}"


def test_each_error_is_reported_once(disk: Disk) -> None:
    disk.write("a", said("fine", "info"), said("one"))
    first = disk.log_check.new_errors()
    disk.write("a", said("two"))

    assert (first, disk.log_check.new_errors()) == ([error_of("a", "one")], [error_of("a", "two")])


def test_a_line_that_is_no_json_is_a_crash(disk: Disk) -> None:
    disk.write("a", "Traceback (most recent call last):")

    assert disk.log_check.new_errors() == [error_of("a", "Traceback (most recent call last):")]


def test_a_long_line_is_put_together(disk: Disk) -> None:
    whole = said("long")
    disk.write("a", whole[:9], tag="P")
    before = disk.log_check.new_errors()
    disk.write("a", whole[9:])

    assert (before, disk.log_check.new_errors()) == ([], [error_of("a", "long")])


def test_what_a_pod_said_that_is_gone_counts(disk: Disk) -> None:
    disk.write("a", said("fine", "info"))
    disk.logs.open_new_files()
    disk.write("a", said("its last word"))
    disk.remove("a")

    assert disk.log_check.new_errors() == [error_of("a", "its last word")]


def test_restart_is_an_error_beside_a_removed_pod(disk: Disk) -> None:
    disk.write("a", run=0)
    disk.write("a", run=1)
    before = disk.log_check.new_errors()
    disk.remove("a")
    disk.write("b", run=0)
    disk.write("b", run=1)

    assert (before, disk.log_check.new_errors()) == (["a: restart 1"], ["b: restart 1"])


def test_unexpected_lost_lease_is_an_error(disk: Disk) -> None:
    disk.write("a", said(LOST))
    disk.write("a", run=1)

    assert disk.log_check.new_errors() == [error_of("a", LOST), "a: restart 1"]


def test_where_they_are_expected_one_explains_one_restart(disk: Disk) -> None:
    disk.write("a", said(LOST))
    lost = disk.log_check.new_errors(LEASE_LOST)
    disk.write("a", run=1)
    once = disk.log_check.new_errors()
    disk.write("a", run=2)

    assert (lost, once, disk.log_check.new_errors(LEASE_LOST)) == ([], [], ["a: restart 2"])


def test_a_pod_that_is_killed_is_judged_up_to_then(disk: Disk) -> None:
    disk.write("a", said("one"))
    disk.write("a", run=1)
    disk.log_check.kills("a")
    disk.write("a", said("its last word"), run=1)
    disk.write("a", said("its token is no longer valid"), run=2)

    assert disk.log_check.new_errors() == [
        error_of("a", "one"),
        error_of("a", "its last word"),
        "a: restart 1",
    ]
