"""Lowers the level of kopf's log records about errors that repair themselves.

kopf logs each attempt of a request that it repeats as an ERROR; here, the first attempt is one
WARNING. kopf logs its own end as two ERRORs; here they are of level DEBUG, since `kopf_watch` logs
a warning and starts kopf again.
"""

import logging
from typing import Final

_REQUESTS: Final = ("kopf._cogs.clients.watching", "kopf._core.reactor.observation")
_ENDS: Final = ("kopf._core.reactor.orchestration", "kopf._core.reactor.running")


class RetriedRequestsFilter(logging.Filter):
    """Makes the first attempt of a repeated request a WARNING, and each other one DEBUG."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        again = "; will retry: " in message or "; will re-authenticate: " in message
        if record.levelno != logging.ERROR or not again:
            return True
        first = message.startswith("Request attempt #1 ")
        return _lower(record, logging.WARNING if first else logging.DEBUG)


class RestartedWatchFilter(logging.Filter):
    """Makes the end of kopf DEBUG."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno != logging.ERROR or " has failed: " not in record.getMessage():
            return True
        return _lower(record, logging.DEBUG)


def _lower(record: logging.LogRecord, level: int) -> bool:
    """Lower the level of a record; whether the record is still logged."""
    record.levelno, record.levelname = level, logging.getLevelName(level)
    return logging.getLogger(record.name).isEnabledFor(level)


_retried_requests = RetriedRequestsFilter()
_restarted_watch = RestartedWatchFilter()


def filter_logs() -> None:
    """Install the filters; a second call changes nothing."""
    # Its one warning in a thread is that it sets no signal handlers, which is the purpose.
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)
    for name in _REQUESTS:
        logging.getLogger(name).addFilter(_retried_requests)
    for name in _ENDS:
        logging.getLogger(name).addFilter(_restarted_watch)
