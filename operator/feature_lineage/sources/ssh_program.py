#!/usr/bin/env -S python3 -IS
"""The program that git starts for ssh: runs ssh with the options of `credential.git_environment`.

``GIT_SSH`` names this file. The file imports nothing of this package, because git starts it without
the environment of the package. (``GIT_SSH_COMMAND`` could contain the options, but git runs it with
a shell, and the image of the operator has none.)
"""

import json
import os
import sys

OPTIONS = "FEATURE_LINEAGE_SSH_OPTIONS"
"""Environment variable with the options, a list in JSON."""

if __name__ == "__main__":
    try:
        os.execvp("ssh", ["ssh", *json.loads(os.environ[OPTIONS]), *sys.argv[1:]])  # noqa: S606
    except OSError as error:
        sys.exit(f"cannot run ssh: {error.strerror}")
