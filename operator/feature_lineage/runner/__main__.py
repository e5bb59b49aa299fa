"""``python -P -m feature_lineage.runner --request FILE --report FILE [--log FILE] [--ask FOLDER]``.

Reads one `JobRequest`, writes one `JobReport` (atomically), and exits with the report's code:
0, 65 or 75. Any other exit code is a crash. ``-P`` keeps the working directory off the module path:
a feature repo may hold a ``json.py``.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from feature_lineage.runner.supervisor import supervise

if TYPE_CHECKING:
    from feature_lineage.runner.newer_guard import GuardHost


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -P -m feature_lineage.runner")
    parser.add_argument("--request", type=Path, required=True, help="the JobRequest, JSON")
    parser.add_argument("--report", type=Path, required=True, help="where the JobReport goes")
    parser.add_argument("--log", type=Path, help="append progress here, one JSON object per line")
    parser.add_argument(
        "--ask", type=Path, help="folder in which the host answers a question for a newer guard"
    )
    options = parser.parse_args()

    def host() -> "GuardHost | None":
        from feature_lineage.runner.newer_guard import FolderHost

        return FolderHost(options.ask) if options.ask else None

    return supervise(options.request, options.report, options.log, host=host)


if __name__ == "__main__":
    sys.exit(main())
