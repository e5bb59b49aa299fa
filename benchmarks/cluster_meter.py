"""What a running operator has used, and how far it is."""

import asyncio
import os
import re
import time
from datetime import datetime
from pathlib import Path

from tests.cluster.host.process import Operator

_PASSES = re.compile(
    r'^feature_lineage_reconcile_total\{kind="TrainedModel",result="success"\} (\S+)$', re.MULTILINE
)
_LOOK_SECONDS = 0.5


def peak_mib(operator: Operator) -> float:
    """The most memory it ever had resident."""
    status = Path(f"/proc/{operator.pid}/status").read_text()
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024


def cpu_seconds(operator: Operator) -> float:
    """User and system time of all its threads."""
    fields = Path(f"/proc/{operator.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def first_line_at(operator: Operator) -> float:
    """When it logged its first line (Unix time): Python has imported everything by then."""
    return datetime.fromisoformat(str(next(operator.lines())["time"])).timestamp()


async def settled(operator: Operator, models: int, within: float) -> float:
    """Until every model had its pass; when that was seen (Unix time).

    Raises:
        RuntimeError: not in so many seconds; with its log.
    """
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        found = _PASSES.search(await operator.metrics())
        if found is not None and float(found[1]) >= models:
            return time.time()
        await asyncio.sleep(_LOOK_SECONDS)
    raise RuntimeError(f"not settled in {within:.0f} s:\n{operator.log.read_text()[-3000:]}")
