"""The revision of a feature repo that lies in a plain folder: a digest of what defines it.

Feast writes its registry, online store and data beside the definitions, so only files that can
define something count; hidden folders, caches and data do not.
"""

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from feature_lineage.errors import NotFound, TerminalError
from feature_lineage.features.snapshot import digest_of
from feature_lineage.reasons import Reason

DEFINING: Final = frozenset({".py", ".yaml", ".yml", ".toml", ".sql", ".txt", ".cfg", ".ini"})
ALWAYS: Final = frozenset({".feastignore"})
SKIPPED_FOLDERS: Final = frozenset({"__pycache__", "node_modules", "venv"})
MAX_FILES: Final = 20_000
MAX_FILE_BYTES: Final = 16 * 1024 * 1024


def defining_files(root: Path) -> Iterator[Path]:
    """Files under `root` that can define features, in a stable order.

    Links that lead nowhere are none (Emacs marks a file it edits with one, ``.#features.py``).

    Raises:
        TerminalError: more than `MAX_FILES` of them: this is no feature repo.
    """
    count = 0
    pending = [root]
    while pending:
        folder = pending.pop()
        for path in _entries(folder):
            if path.is_symlink() and not path.resolve().is_relative_to(root.resolve()):
                continue
            if path.is_dir():
                if not path.name.startswith(".") and path.name not in SKIPPED_FOLDERS:
                    pending.append(path)
            elif path.exists() and (path.suffix in DEFINING or path.name in ALWAYS):
                count += 1
                if count > MAX_FILES:
                    raise TerminalError(
                        f"{root} holds more than {MAX_FILES} definition files; "
                        "point the source at the feature repo itself",
                        reason=Reason.INVALID_REPO,
                    )
                yield path


def _entries(folder: Path) -> list[Path]:
    with contextlib.suppress(FileNotFoundError):
        return sorted(folder.iterdir())
    return []  # it was removed since its parent was listed


def tree_revision(root: Path) -> str:
    """``sha256:<hex>`` over the names and contents of the defining files.

    Raises:
        NotFound: there is no such folder.
        TerminalError: too many files, or one over `MAX_FILE_BYTES`.
    """
    if not root.is_dir():
        raise NotFound(
            f"{root} is no folder; point source.local.path at a feature repo",
            reason=Reason.REF_NOT_FOUND,
        )
    total = hashlib.sha256()
    for path in defining_files(root):
        try:
            content = path.read_bytes() if path.stat().st_size <= MAX_FILE_BYTES else None
        except FileNotFoundError:
            continue  # an editor replaced or removed it meanwhile: the next look sees what is there
        if content is None:
            raise TerminalError(
                f"{path} is larger than {MAX_FILE_BYTES} bytes; keep data out of the feature repo",
                reason=Reason.INVALID_REPO,
            )
        total.update(str(path.relative_to(root)).encode() + b"\0")
        total.update(hashlib.sha256(content).digest())
    return f"sha256:{total.hexdigest()}"


def files_revision(files: Mapping[str, bytes]) -> str:
    """``sha256:<hex>`` over a repo that is handed over as names and contents, in a ConfigMap."""
    return "sha256:" + digest_of(
        {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    )
