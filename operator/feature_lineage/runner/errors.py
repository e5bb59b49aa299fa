"""Errors with which the worker ends an operation."""

from typing import Final

from feature_lineage.errors import TerminalError, TransientError, WaitingError
from feature_lineage.reasons import Reason
from feature_lineage.shorten import one_line

MAX_LINE: Final = 600


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


def error_line(error: BaseException) -> str:
    """``ValueError: text``, on one line of at most `MAX_LINE` characters."""
    name = type(error).__name__
    try:
        text = str(error)
    except Exception:  # noqa: BLE001  the class may be of the repo's code
        text = ""
    return one_line(f"{name}: {text}" if text.strip() else name, MAX_LINE)
