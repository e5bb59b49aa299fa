"""Resources that a running operator has used, and its progress."""

import asyncio
import os
import re
import time
from datetime import datetime
from pathlib import Path

import httpx
from tests.cluster.host.process import Operator

_PASSES = re.compile(
    r'^feature_lineage_reconcile_total\{kind="TrainedModel",result="success"\} (\S+)$'
)
_BEHIND_COUNTERS = "# HELP process_"
_LOOK_SECONDS, _LOOK_SECONDS_EACH = 0.5, 0.001
"""Minimum time between two reads, and per model, because a read has a cost."""
_ANSWER_SECONDS = 120.0


def cpu_seconds(operator: Operator) -> float:
    """Return user and system time of all its threads."""
    fields = Path(f"/proc/{operator.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def first_line_at(operator: Operator) -> float:
    """Return the time of its first log line (Unix time); Python has imported everything by then."""
    return datetime.fromisoformat(str(next(operator.lines())["time"])).timestamp()


async def until_reconciled(operator: Operator, models: int, within: float) -> float:
    """Wait until every model was reconciled; return the time (Unix time).

    Raises:
        RuntimeError: not in this number of seconds; with its log.
    """
    deadline = time.monotonic() + within
    pause = max(_LOOK_SECONDS, models * _LOOK_SECONDS_EACH)
    while time.monotonic() < deadline:
        if await _passes(operator) >= models:
            return time.time()
        await asyncio.sleep(pause)
    raise RuntimeError(f"not settled in {within:.0f} s:\n{operator.log.read_text()[-3000:]}")


async def _passes(operator: Operator) -> float:
    """Return the number of reconciles of models so far.

    The part of the answer behind the counters is not read, and so not computed: the state of ten
    thousand models, twice a second, would cost more than the measured work.
    """
    async with (
        httpx.AsyncClient(base_url=operator.url, timeout=_ANSWER_SECONDS) as client,
        client.stream("GET", "/metrics", headers={"Accept-Encoding": "identity"}) as answer,
    ):
        async for line in answer.aiter_lines():
            if found := _PASSES.match(line):
                return float(found[1])
            if line.startswith(_BEHIND_COUNTERS):
                break
    return 0.0
