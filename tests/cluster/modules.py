"""What other projects publish in their Go modules, such as CRDs: had by version and digest."""

import json
import subprocess
from pathlib import Path


def module_folder(tools: Path, module: str) -> Path:
    """Folder of a module's files, from Go's cache or its proxy.

    Args:
        tools: folder with a ``go.mod`` and ``go.sum`` that name the module's version.
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
