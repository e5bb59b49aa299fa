"""The console of a terminal: the same lines, and below them the running jobs."""

import asyncio
import sys
from datetime import UTC, datetime
from typing import Final, Self

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from feature_lineage.api.enums import OperationPhase
from feature_lineage.decide.facts import key_of
from feature_lineage.local.console import PlainConsole, progress_of, short
from feature_lineage.local.host import LocalHost
from feature_lineage.shorten import visible, visible_lines

REFRESH_SECONDS: Final = 0.2


class LiveConsole(PlainConsole):
    """Writes lines above one live line for each running job."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self._console = Console(file=sys.stderr, highlight=False)
        self._live = Live(console=self._console, transient=True, auto_refresh=False)

    def line(self, text: str) -> None:
        now = datetime.now(UTC).strftime("%H:%M:%S")
        color = {"!": "yellow", "=": "bold", "▸": "cyan"}.get(text[:1], "")
        self._console.print(Text(f"{now}  ", style="dim") + Text(visible_lines(text), style=color))

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    async def follow(self, host: LocalHost) -> None:
        """Show the progress of running jobs until cancelled."""
        while True:
            table = Table.grid(padding=(0, 1))
            for project in host.resources.projects():
                for operation in project.status.in_flight:
                    if operation.phase is OperationPhase.BACKING_OFF:
                        continue
                    seconds = ""
                    if operation.started_at is not None:
                        passed = datetime.now(UTC) - operation.started_at
                        seconds = f"{passed.total_seconds():.0f} s"
                    doing = Text(visible(progress_of(host.jobs.progress(operation.job))))
                    doing.stylize("dim")
                    name = f"{short(key_of(project))} {operation.kind}"
                    table.add_row(Spinner("dots"), name, seconds, doing)
            self._live.update(table, refresh=True)
            await asyncio.sleep(REFRESH_SECONDS)
