"""The entries of the locks that the Containerfile needs, checked without a build."""

import re
import tomllib
from importlib.metadata import metadata, requires

from packaging.markers import Marker
from packaging.requirements import Requirement
from tests.e2e.images import CHECKOUT

PIN = re.compile(r"^([a-z0-9-]+)==([^ ]+)(?: ; (.+?))? \\$", re.MULTILINE)
UNFIT = {"flink"}
"""`docs/images.md` names it."""


def fixed() -> set[str]:
    """Packages that no extra may replace, read from the Containerfile."""
    content = (CHECKOUT / "images" / "Containerfile").read_text(encoding="utf-8")
    found = re.search(r"sed -nE 's/\^\(\(([a-z|-]+)\)==", content)
    assert found is not None
    return set(found[1].split("|"))


def pins(lock: str) -> dict[str, str]:
    found = PIN.findall((CHECKOUT / lock).read_text(encoding="utf-8"))
    return {name: pin for name, pin, marker in found if not marker or Marker(marker).evaluate()}


def test_the_fixed_versions_are_those_the_runner_depends_on() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    direct = {Requirement(line).name for line in project["optional-dependencies"]["runner"]}

    assert fixed() == direct


def test_the_extras_of_feast_accept_the_fixed_versions() -> None:
    locked = pins("requirements/runner.txt")
    wanted = [Requirement(line) for line in requires("feast") or ()]
    unfit = {
        extra
        for extra in metadata("feast").get_all("Provides-Extra") or ()
        for requirement in wanted
        if requirement.marker is not None
        and requirement.marker.evaluate({"extra": extra})
        and requirement.name.lower() in fixed()
        and not requirement.specifier.contains(locked[requirement.name.lower()])
    }

    assert unfit == UNFIT
    assert f"`{next(iter(UNFIT))}`" in (CHECKOUT / "docs" / "images.md").read_text(encoding="utf-8")


def test_the_operator_lock_has_no_package_that_only_jobs_use() -> None:
    heavy = {"feast", "mlflow", "mlflow-skinny", "numpy", "pandas", "pyarrow"}

    assert heavy & pins("requirements/operator.txt").keys() == set()


def test_the_tools_agree_with_the_lock_of_the_checkout() -> None:
    tools, checkout = pins("images/tools.txt"), pins("requirements/dev.txt")
    both = tools.keys() & checkout.keys()

    assert {name: tools[name] for name in both} == {name: checkout[name] for name in both}
    assert "hatchling" in both


def test_the_base_and_every_other_image_is_pinned_by_its_digest() -> None:
    content = (CHECKOUT / "images" / "Containerfile").read_text(encoding="utf-8")
    stages = {"scratch", "${BASE}", *re.findall(r"^FROM \S+ AS (\S+)$", content, re.MULTILINE)}

    assert re.search(r"^ARG BASE=\S+@sha256:[0-9a-f]{64}$", content, re.MULTILINE)
    assert set(re.findall(r"^FROM (\S+)", content, re.MULTILINE)) <= stages
