"""Reads the tables of `docs/lineage.md`: each row is a scene that a test runs."""

from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "lineage.md"
NONE = "\N{EN DASH}"


@dataclass(frozen=True)
class LineageRow:
    """One row; a cell with a dash is "".

    Attributes:
        scene: its name, which a function has, too.
        condition: status of `LineageVerified`.
        reason: of that condition.
        origin: `lineage.origin`.
        features: short names of the features in the status, in order.
        resolves: what Feast's `resolve_features` answers: a service, or the class of its error.
        serving: what `get_online_features` does with the features of the status.
    """

    scene: str
    condition: str
    reason: str
    origin: str
    features: str
    resolves: str
    serving: str


def lineage_rows(heading: str) -> list[LineageRow]:
    """The rows of the table below a heading of the second level."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {heading}\n", 1)[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    found = []
    for line in lines[2:]:
        cells = [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        scene, _, condition, reason, origin, features, _, resolves, serving = (
            "" if cell == NONE else cell for cell in cells
        )
        found.append(LineageRow(scene, condition, reason, origin, features, resolves, serving))
    return found
