"""The tables of mutants: each mutant removes one protection and names the tests that show it."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
TABLES: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of the code that must not stay unnoticed.

    Attributes:
        table: name of its table, without the suffix.
        name: what is wrong in the mutant.
        file: path of the changed file in the repository.
        text: is in the file exactly once, and is replaced.
        instead: the replacement.
        tests: each of them has to fail; as `FILE::TEST` under `tests/`.
    """

    table: str
    name: str
    file: str
    text: str
    instead: str
    tests: tuple[str, ...]

    def applied(self, root: Path) -> str:
        """The content of the file with the change.

        Raises:
            ValueError: the text is not in the file exactly once.
        """
        content = (root / self.file).read_text(encoding="utf-8")
        found = content.count(self.text)
        if found != 1:
            raise ValueError(
                f"the text {self.text!r} is {found} times in {self.file}; "
                f"correct it in tests/mutants/{self.table}.toml"
            )
        return content.replace(self.text, self.instead)


def read_tables(folder: Path = TABLES) -> tuple[Mutant, ...]:
    """All mutants, in the order of the tables."""
    return tuple(
        Mutant(table.stem, **{**row, "tests": tuple(row["tests"])})
        for table in sorted(folder.glob("*.toml"))
        for row in tomllib.loads(table.read_text(encoding="utf-8"))["mutant"]
    )
