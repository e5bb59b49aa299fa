"""Errors with which the worker ends an operation."""

from feature_lineage.errors import TerminalError, TransientError, WaitingError
from feature_lineage.reasons import Reason


class InvalidRepo(TerminalError):
    """The repo or its feature_store.yaml is invalid: only another revision can succeed."""

    reason = Reason.INVALID_REPO


class RegistryUnreadable(TransientError):
    """The registry does not answer or cannot be parsed.

    Transient: Feast truncates a file registry before it writes, so a reader can see a partial file
    that is complete a second later.
    """

    reason = Reason.REGISTRY_UNREADABLE


class SteppedBack(WaitingError):
    """Guard or registry state are outdated; the job stopped before it changed anything."""

    reason = Reason.REGISTRY_MOVED


def one_line(error: BaseException, limit: int = 600) -> str:
    """``ValueError: text``, on one line of at most ``limit`` characters."""
    text = " ".join(str(error).split())
    name = type(error).__name__
    line = f"{name}: {text}" if text else name
    return line if len(line) <= limit else line[: limit - 1] + "…"
