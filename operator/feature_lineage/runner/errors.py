"""How the worker may end on purpose without success, as errors of the one tree."""

from feature_lineage.errors import TerminalError, TransientError, WaitingError
from feature_lineage.reasons import Reason


class InvalidRepo(TerminalError):
    """The repo or its feature_store.yaml is at fault: nothing helps but another revision."""

    reason = Reason.INVALID_REPO


class RegistryUnreadable(TransientError):
    """The registry does not answer, or holds something that is none.

    Transient although a broken file rarely mends itself: Feast truncates before it writes, so a
    reader can meet a torn file that is whole a second later.
    """

    reason = Reason.REGISTRY_UNREADABLE


class SteppedBack(WaitingError):
    """The facts this job was given no longer hold; nothing was changed."""

    reason = Reason.REGISTRY_MOVED


def one_line(error: BaseException, limit: int = 600) -> str:
    """``ValueError: text``, on one line, cut."""
    text = " ".join(str(error).split())
    name = type(error).__name__
    line = f"{name}: {text}" if text else name
    return line if len(line) <= limit else line[: limit - 1] + "…"
