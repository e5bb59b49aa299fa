"""Removes secrets from what a job shows: database drivers put whole addresses into their errors."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from feature_lineage.operations.message import Message

IDENTITIES: Final = frozenset({"question", "view", "column", "url", "keys"})
"""Fields of `Redaction.message` that the operator compares, or asks with again: they stay."""


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

    def message(self, value: Any) -> Any:
        """The message, or a tuple of messages, with each text redacted but for `IDENTITIES`."""
        match value:
            case str() if not isinstance(value, Enum):
                return self(value)
            case tuple():
                return tuple(map(self.message, value))
            case Message():
                names = type(value).model_fields.keys() - IDENTITIES
                return value.model_copy(
                    update={name: self.message(getattr(value, name)) for name in names}
                )
            case _:
                return value

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
