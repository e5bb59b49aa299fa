"""The printed table, and the line about the machine."""

import os
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median

from benchmarks.measure import Row

HEAD = ("what", "n", "floor", "ours", "ratio (min-max)", "goal", "floor is")


def machine() -> str:
    """Processor, cores, memory, system, Python, and load."""
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"{_processor()}, {os.cpu_count()} cores, {_memory()}, {platform.system()} "
        f"{platform.release()}, Python {platform.python_version()}, load {load}"
    )


def table(rows: Iterable[Row]) -> str:
    """Plain text, one line per row, with aligned columns."""
    lines: list[Sequence[str]] = [HEAD, *map(_cells, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _cells(row: Row) -> Sequence[str]:
    return (
        row.name,
        str(len(row.ours)),
        _amounts(row.floor, row.unit),
        _amounts(row.ours, row.unit),
        _ratios(row.ratios),
        _goal(row),
        row.against,
    )


def _amounts(values: Sequence[float], unit: str) -> str:
    if not values:
        return "-"
    middle = median(values)
    factor, shown = _scale(middle) if unit == "s" else (1.0, unit)
    texts = [_digits(value * factor) for value in (middle, min(values), max(values))]
    spread = f" ({texts[1]}-{texts[2]})" if len(values) > 1 else ""
    return f"{texts[0]} {shown}{spread}"


def _ratios(values: Sequence[float]) -> str:
    if not values:
        return "-"
    spread = f" ({_ratio(min(values))}-{_ratio(max(values))})" if len(values) > 1 else ""
    return f"{_ratio(median(values))}{spread}"


def _goal(row: Row) -> str:
    goals = []
    if row.goal is not None and row.ratios:
        goals.append((f"{row.goal:g}x", median(row.ratios) <= row.goal))
    if row.limit is not None:
        goals.append((_amounts([row.limit], row.unit), median(row.ours) <= row.limit))
    return ", ".join(f"{text} {'met' if met else 'MISSED'}" for text, met in goals) or "-"


def _ratio(value: float) -> str:
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def _digits(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _scale(value: float) -> tuple[float, str]:
    """Return the factor and the unit in which this number of seconds is easy to read."""
    for factor, unit in ((1.0, "s"), (1e3, "ms")):
        if value * factor >= 1:
            return factor, unit
    return 1e6, "us"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory() -> str:
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
