"""Removes secrets from what a job shows: database drivers put whole addresses into their errors."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Redaction:
    """What a job must not show; it grows while the worker runs.

    Attributes:
        secrets: values to remove, wherever they are.
        hosts: names of hosts that contain such a value: within the name it stays.
    """

    secrets: list[str] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)

    def __call__(self, text: str) -> str:
        """The text with `***` for each secret."""
        shown, end = "", 0
        for start, stop in self._hidden(text):
            if start >= end:
                shown += text[end:start] + "***"
            end = max(end, stop)
        return shown + text[end:]

    def _hidden(self, text: str) -> list[tuple[int, int]]:
        """Start and end of each secret that is not a part of the name of a host."""
        names = [span for host in self.hosts for span in _spans(host, text)]
        return sorted(
            (start, stop)
            for secret in self.secrets
            for start, stop in _spans(secret, text)
            if not any(begin <= start and stop <= end for begin, end in names)
        )


def _spans(word: str, text: str) -> Iterator[tuple[int, int]]:
    """Where the word is, also where two of them overlap."""
    if word:
        for found in re.finditer(f"(?={re.escape(word)})", text):
            yield found.start(), found.start() + len(word)
