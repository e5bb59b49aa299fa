"""What the locks of the images promise to the Containerfile, checked without building one."""

import re
from importlib.metadata import metadata, requires

from images.inputs import CHECKOUT
from packaging.markers import Marker
from packaging.requirements import Requirement

PIN = re.compile(r"^([a-z0-9-]+)==([^ ]+)(?: ; (.+?))? \\$", re.MULTILINE)
UNFIT = {"ci", "flink"}
"""`docs/images.md` names them."""


def pins(lock: str) -> dict[str, str]:
    found = PIN.findall((CHECKOUT / lock).read_text(encoding="utf-8"))
    return {name: pin for name, pin, marker in found if not marker or Marker(marker).evaluate()}


def test_the_extras_of_feast_fit_the_lock_of_the_runner() -> None:
    locked = pins("requirements/runner.txt")
    wanted = [Requirement(line) for line in requires("feast") or ()]
    unfit = {
        extra
        for extra in metadata("feast").get_all("Provides-Extra") or ()
        for requirement in wanted
        if requirement.marker is not None
        and requirement.marker.evaluate({"extra": extra})
        and not requirement.specifier.contains(locked.get(requirement.name.lower(), "0"))
        and requirement.name.lower() in locked
    }

    assert unfit == UNFIT


def test_the_lock_of_the_operator_has_nothing_that_only_jobs_import() -> None:
    heavy = {"feast", "mlflow", "mlflow-skinny", "numpy", "pandas", "pyarrow"}

    assert heavy & pins("requirements/operator.txt").keys() == set()


def test_the_tools_agree_with_the_lock_of_the_checkout() -> None:
    tools, checkout = pins("images/tools.txt"), pins("requirements/dev.txt")
    both = tools.keys() & checkout.keys()

    assert {name: tools[name] for name in both} == {name: checkout[name] for name in both}
    assert "hatchling" in both
