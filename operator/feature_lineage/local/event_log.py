"""Events as lines of a JSON file in the state folder, which ``describe`` reads; newest last."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Final

from feature_lineage.decide.facts import Event, Key
from feature_lineage.local.state_folder import StateFolder, write_atomically

EVENTS_KEPT: Final = 1000
EVENTS_MAX_BYTES: Final = 4 * 1024 * 1024


class FileEvents:
    """`Events` of the local host.

    Args:
        now: the time of an event.
        on_event: receives each event after it is written.
    """

    def __init__(
        self,
        state: StateFolder,
        now: Callable[[], datetime],
        on_event: Callable[[Event], None],
    ) -> None:
        self._path = state.root / "events.jsonl"
        self._now = now
        self._on_event = on_event

    async def emit(self, event: Event) -> None:
        line = {
            "at": self._now().isoformat(timespec="seconds"),
            "object": str(event.key),
            "type": event.kind,
            "reason": event.reason,
            "message": event.message,
        }
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            size = file.tell()
        if size > EVENTS_MAX_BYTES:
            lines = self._path.read_text(encoding="utf-8").splitlines(keepends=True)
            write_atomically(self._path, "".join(lines[-EVENTS_KEPT:]))
        self._on_event(event)


def read_events(state: StateFolder, key: Key) -> list[dict[str, str]]:
    """Events about one resource, oldest first, at most `EVENTS_KEPT`."""
    try:
        lines = (state.root / "events.jsonl").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    events = (json.loads(line) for line in lines[-EVENTS_KEPT:] if line)
    return [event for event in events if event["object"] == str(key)]
