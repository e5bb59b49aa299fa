"""The levels of kopf's log records about errors that repair themselves."""

import logging

from feature_lineage.kube.cache.kopf_logs import RestartedWatchFilter, RetriedRequestsFilter


def _record(message: str, level: int = logging.ERROR) -> logging.LogRecord:
    return logging.LogRecord("kopf.test", level, __file__, 1, message, (), None)


def test_retried_request_is_logged_once_as_a_warning() -> None:
    first = _record("Request attempt #1 failed; will retry: GET /x -> TimeoutError()")
    second = _record("Request attempt #2 failed; will retry: GET /x -> TimeoutError()")
    third = _record("Request attempt #3 failed; TCP closed; will re-authenticate: GET /x")
    last = _record("Request attempt #3 failed; escalating: GET /x -> TimeoutError()")

    assert RetriedRequestsFilter().filter(first)
    assert first.levelname == "WARNING"
    assert not RetriedRequestsFilter().filter(second)
    assert not RetriedRequestsFilter().filter(third)
    assert RetriedRequestsFilter().filter(last)
    assert last.levelno == logging.ERROR


def test_the_end_of_kopf_is_logged_at_level_debug() -> None:
    failed = _record("Watcher for models@team has failed: HTTP 410")
    other = _record("Throttling for 60 seconds due to an unexpected error")
    mild = _record("Watcher for models@team has failed: HTTP 410", logging.WARNING)

    assert not RestartedWatchFilter().filter(failed)
    assert failed.levelno == logging.DEBUG
    assert RestartedWatchFilter().filter(other)
    assert other.levelno == logging.ERROR
    assert RestartedWatchFilter().filter(mild)
