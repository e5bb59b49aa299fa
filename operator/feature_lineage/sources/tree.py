"""The revision of a feature repo in a folder or a ConfigMap: a digest of the files that define it.

Feast writes its registry, online store and data beside the definitions. Only files that can define
features are part of the digest; hidden folders, caches and data are not.
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

    Broken links are left out, such as ``.#features.py``, by which Emacs marks an open file.

    Raises:
        TerminalError: more than `MAX_FILES` files: the folder is not a feature repo.
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
                        f"{root} has more than {MAX_FILES} definition files; "
                        "point the source at the feature repo itself",
                        reason=Reason.INVALID_REPO,
                    )
                yield path


def _entries(folder: Path) -> list[Path]:
    with contextlib.suppress(FileNotFoundError):
        return sorted(folder.iterdir())
    return []  # the folder was removed after its parent was listed


def tree_revision(root: Path) -> str:
    """``sha256:<hex>`` over the names and contents of the defining files.

    Raises:
        NotFound: the folder does not exist.
        TerminalError: too many files, or a file larger than `MAX_FILE_BYTES`.
    """
    if not root.is_dir():
        raise NotFound(
            f"{root} is not a folder; point source.local.path at a feature repo",
            reason=Reason.REF_NOT_FOUND,
        )
    total = hashlib.sha256()
    for path in defining_files(root):
        try:
            content = path.read_bytes() if path.stat().st_size <= MAX_FILE_BYTES else None
        except FileNotFoundError:
            continue  # an editor replaced or removed the file: the next reconcile reads the folder
        if content is None:
            raise TerminalError(
                f"{path} is larger than {MAX_FILE_BYTES} bytes; keep data out of the feature repo",
                reason=Reason.INVALID_REPO,
            )
        total.update(str(path.relative_to(root)).encode() + b"\0")
        total.update(hashlib.sha256(content).digest())
    return f"sha256:{total.hexdigest()}"


def files_revision(files: Mapping[str, bytes]) -> str:
    """``sha256:<hex>`` over the names and contents of a repo's files, as of a ConfigMap."""
    return "sha256:" + digest_of(
        {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    )
