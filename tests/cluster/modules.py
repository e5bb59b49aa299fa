"""Files from Go modules of other projects, such as CRDs; the version and digest are pinned."""

import json
import subprocess
from pathlib import Path


def module_folder(tools: Path, module: str) -> Path:
    """Return the folder of a module's files, from the cache or proxy of Go.

    Args:
        tools: folder with a ``go.mod`` and ``go.sum`` that name the version of the module.
    """
    done = subprocess.run(
        ["go", "mod", "download", "-json", module],
        cwd=tools,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return Path(json.loads(done.stdout)["Dir"])
