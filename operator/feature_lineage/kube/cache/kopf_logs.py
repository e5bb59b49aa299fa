"""What kopf logs, told as what it is: no error where something mends itself.

A request that it makes again is an ERROR to kopf, each time; here it is one warning. What ends it
is two ERRORs; here it is left to `watching`, which begins it again.
"""

import logging
from typing import Final

_TRIES: Final = ("kopf._cogs.clients.watching", "kopf._core.reactor.observation")
_ENDS: Final = ("kopf._core.reactor.orchestration", "kopf._core.reactor.running")


class TriedAgain(logging.Filter):
    """Tells once that a request is made again; what fails for good stays an error."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        again = "; will retry: " in message or "; will re-authenticate: " in message
        if record.levelno != logging.ERROR or not again:
            return True
        first = message.startswith("Request attempt #1 ")
        return _told_as(record, logging.WARNING if first else logging.DEBUG)


class BegunAgain(logging.Filter):
    """Leaves it to `Watcher` to tell that kopf failed: once, and as what comes of it."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno != logging.ERROR or " has failed: " not in record.getMessage():
            return True
        return _told_as(record, logging.DEBUG)


def _told_as(record: logging.LogRecord, level: int) -> bool:
    """Lower a record's level; whether it is to be told then."""
    record.levelno, record.levelname = level, logging.getLevelName(level)
    return logging.getLogger(record.name).isEnabledFor(level)


_tried_again = TriedAgain()
_begun_again = BegunAgain()


def calm() -> None:
    """Have all that apply from now on; to do so again changes nothing."""
    # Its one warning in a thread is that it leaves the signals alone, which is the point.
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)
    for name in _TRIES:
        logging.getLogger(name).addFilter(_tried_again)
    for name in _ENDS:
        logging.getLogger(name).addFilter(_begun_again)
