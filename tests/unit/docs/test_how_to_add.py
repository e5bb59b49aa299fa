"""The lists of `docs/how-to-add.md` are short, name existing files, and are enforced."""

import re
from pathlib import Path

import pytest
from tests.unit.docs.pages import ROOT, names_in, read, rows, section

from feature_lineage.api.enums import OperationKind
from feature_lineage.decide.project.due import CHECKS
from feature_lineage.reconcile.sinks import registered
from feature_lineage.reconcile.sinks.registered import registered as registered_sinks

PAGE = ROOT / "docs/how-to-add.md"
CODE = ROOT / "operator/feature_lineage"
HEADINGS = re.findall(r"^## .+$", read(PAGE), re.MULTILINE)
MOST_FILES = 7


def listed(heading: str) -> list[Path]:
    names = [names_in(cells[0])[0] for cells in rows(section(PAGE, heading))]
    return [(ROOT if name.startswith(("docs/", "tests/")) else CODE) / name for name in names]


@pytest.mark.parametrize("heading", HEADINGS)
def test_each_list_has_at_most_seven_files_that_exist(heading: str) -> None:
    files = listed(heading)

    assert 0 < len(files) <= MOST_FILES
    assert [file for file in files if not file.is_file()] == []


def test_the_page_covers_what_people_add() -> None:
    assert len(HEADINGS) == 7


def test_every_kind_of_operation_has_a_check_that_makes_it_due() -> None:
    """A plan replaces an apply if spec.apply.mode is PlanOnly."""
    assert set(CHECKS) | {OperationKind.PLAN} == set(OperationKind)


def test_every_sink_is_registered() -> None:
    folder = Path(registered.__file__).parent
    files = {path.stem for path in folder.glob("*.py")} - {"__init__", "registered"}

    class NoPorts:
        events = None

    sinks = registered_sinks(NoPorts())  # type: ignore[arg-type]

    assert {type(sink).__module__.rpartition(".")[2] for sink in sinks} == files
