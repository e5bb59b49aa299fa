"""The revision of a feature repo that lies in a plain folder: a digest of what defines it.

Feast writes its registry, online store and data beside the definitions, so only files that can
define something count; hidden folders, caches and data do not.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from feature_lineage.errors import NotFound, TerminalError

DEFINING: Final = frozenset({".py", ".yaml", ".yml", ".toml", ".sql", ".txt", ".cfg", ".ini"})
ALWAYS: Final = frozenset({".feastignore"})
SKIPPED_FOLDERS: Final = frozenset({"__pycache__", "node_modules", "venv"})
MAX_FILES: Final = 20_000
MAX_FILE_BYTES: Final = 16 * 1024 * 1024


def defining_files(root: Path) -> Iterator[Path]:
    """Files under `root` that can define features, in a stable order.

    Raises:
        TerminalError: more than `MAX_FILES` of them: this is no feature repo.
    """
    count = 0
    pending = [root]
    while pending:
        folder = pending.pop()
        for path in sorted(folder.iterdir()):
            if path.is_symlink() and not path.resolve().is_relative_to(root.resolve()):
                continue
            if path.is_dir():
                if not path.name.startswith(".") and path.name not in SKIPPED_FOLDERS:
                    pending.append(path)
            elif path.suffix in DEFINING or path.name in ALWAYS:
                count += 1
                if count > MAX_FILES:
                    raise TerminalError(
                        f"{root} holds more than {MAX_FILES} definition files; "
                        "point the source at the feature repo itself",
                        reason="InvalidRepo",
                    )
                yield path


def tree_revision(root: Path) -> str:
    """``sha256:<hex>`` over the names and contents of the defining files.

    Raises:
        NotFound: there is no such folder.
        TerminalError: too many files, or one over `MAX_FILE_BYTES`.
    """
    if not root.is_dir():
        raise NotFound(
            f"{root} is no folder; point source.local.path at a feature repo",
            reason="RefNotFound",
        )
    total = hashlib.sha256()
    for path in defining_files(root):
        if path.stat().st_size > MAX_FILE_BYTES:
            raise TerminalError(
                f"{path} is larger than {MAX_FILE_BYTES} bytes; keep data out of the feature repo",
                reason="InvalidRepo",
            )
        total.update(str(path.relative_to(root)).encode() + b"\0")
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return f"sha256:{total.hexdigest()}"
