"""What goes into an image, as one digest: another digest is another image, and the same is none.

Only files are read, so that asking whether anything changed takes milliseconds.
"""

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CHECKOUT: Final = Path(__file__).parent.parent
IMAGES: Final = ("operator", "runner")
FEAST: Final = "runner"
"""The image that has Feast, and can have its extras."""


@dataclass(frozen=True)
class Wanted:
    """One image, as somebody asked for it.

    Attributes:
        name: of `IMAGES`.
        tag: what follows the colon.
        base: an image that buildah finds, or "" for the Containerfile's own.
        extras: of Feast, such as ("redis", "snowflake"); the runner only.
    """

    name: str
    tag: str
    base: str = ""
    extras: tuple[str, ...] = ()

    @property
    def reference(self) -> str:
        return f"localhost/feature-lineage-{self.name}:{self.tag}"

    def arguments(self) -> dict[str, str]:
        """Those of the Containerfile."""
        given = {"BASE": self.base, "VERSION": version(), "EXTRAS": ",".join(self.extras)}
        return {name: value for name, value in given.items() if value}


def version() -> str:
    """Of the package in the checkout; read, for the builder needs no environment of ours."""
    module = CHECKOUT / "operator" / "feature_lineage" / "__init__.py"
    for statement in ast.parse(module.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__version__":
            return str(ast.literal_eval(statement.value))
    raise LookupError(f"{module} has no __version__")


def digest(wanted: Wanted) -> str:
    """Of everything that makes the image, in 16 hexadecimal digits."""
    found = hashlib.sha256(repr((wanted.reference, sorted(wanted.arguments().items()))).encode())
    for file in _files(wanted.name):
        content = file.read_bytes()
        found.update(f"{file.relative_to(CHECKOUT)} {len(content)}\n".encode())
        found.update(content)
    return found.hexdigest()[:16]


def _files(name: str) -> Iterator[Path]:
    for file in ("images/Containerfile", "images/tools.txt", f"requirements/{name}.txt"):
        yield CHECKOUT / file
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        yield CHECKOUT / file
    for path in sorted((CHECKOUT / "operator").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path
