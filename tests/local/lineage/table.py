"""Reads the tables of `docs/lineage.md`: each row is a scene that a test runs."""

from collections.abc import Iterator
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


@dataclass(frozen=True)
class ChangeRow:
    """One change of the repository; a cell with a dash is "".

    Attributes:
        plan: exit code of ``plan --detailed-exitcode``, and the verdict of the plan.
        problems: kinds of the plan's problems, sorted.
        verdict: of the champion, after the change was applied with a permission.
        reason: of `LineageVerified` then.
        serving: what `get_online_features` answers then, compared with before.
    """

    scene: str
    plan: str
    problems: str
    verdict: str
    reason: str
    serving: str


@dataclass(frozen=True)
class StoreRow:
    """What another tool does to a registry, as the next row of a store after the one before.

    Attributes:
        store: the registry and the online store.
        write: what another tool does to them.
        verdict: of the champion, after the registry was observed.
        reason: of `LineageVerified` then.
        fresh: reason of `FeaturesFresh` then.
        serving: what `get_online_features` answers then, compared with before.
    """

    store: str
    write: str
    verdict: str
    reason: str
    fresh: str
    serving: str


def store_rows(heading: str) -> list[StoreRow]:
    """The rows of a table of stores."""
    return [StoreRow(*cells) for cells in _cells(heading)]


def change_rows(heading: str) -> list[ChangeRow]:
    """The rows of a table of changes; the second column describes the change."""
    return [ChangeRow(scene, *cells) for scene, _, *cells in _cells(heading)]


def lineage_rows(heading: str) -> list[LineageRow]:
    """The rows of a table of ways of training."""
    return [
        LineageRow(scene, condition, reason, origin, features, resolves, serving)
        for scene, _, condition, reason, origin, features, _, resolves, serving in _cells(heading)
    ]


def _cells(heading: str) -> Iterator[list[str]]:
    """The cells of each row of the table below a heading of the second level."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {heading}\n", 1)[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    for line in lines[2:]:
        cells = [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        yield ["" if cell == NONE else cell for cell in cells]
