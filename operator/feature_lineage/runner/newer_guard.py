"""A running job asks its host for a newer guard, and waits for the answer.

    worker ─► supervisor ─► host: the question, a token
    worker ◄─ supervisor ◄─ host: `GuardAnswer` with the same token

The worker asks when the guard of its request is older than maxGuardAge. The repo's code runs in the
worker, so it may ask, too: only the first question of a job counts.
"""

import os
import secrets
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from pydantic import ValidationError

from feature_lineage.errors import FeatureLineageError
from feature_lineage.operations.newer_guard import ANSWER_FILE, QUESTION_FILE, GuardAnswer
from feature_lineage.operations.protocol import encode

WAIT_SECONDS: Final = 180.0
"""A host looks at a running job once a minute, and then reads MLflow."""


class GuardHost(Protocol):
    """The way of a question and its answer between a job and its host.

    Attributes:
        poll_seconds: pause between two looks for the answer.
    """

    poll_seconds: float

    def ask(self, token: str, until: float) -> None:
        """Hand over the question.

        Args:
            until: in seconds of the monotonic clock.

        Raises:
            FeatureLineageError: the host cannot be reached.
        """
        ...

    def answer(self) -> GuardAnswer | None:
        """The answer, of whatever token; None if there is none yet.

        Raises:
            FeatureLineageError: the answer does not parse, or cannot be read.
        """
        ...


class FolderHost:
    """The way through the folder of a job on the local host."""

    poll_seconds = 0.1

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def ask(self, token: str, until: float) -> None:  # noqa: ARG002 - a file needs no retries
        temporary = self._folder / f".{QUESTION_FILE}.tmp"
        temporary.write_text(token)
        temporary.replace(self._folder / QUESTION_FILE)

    def answer(self) -> GuardAnswer | None:
        try:
            return GuardAnswer.model_validate_json((self._folder / ANSWER_FILE).read_bytes())
        except (FileNotFoundError, ValidationError):
            return None


class GuardQuestion:
    """Asks the host in a thread of its own, and writes the answer to the pipe of the worker.

    Args:
        host: None: nobody answers, and the worker learns so at once.
        descriptor: the pipe to the worker; it gets one line, empty without a host.
        deadline: of the job, in seconds of the monotonic clock.
    """

    def __init__(self, host: GuardHost | None, descriptor: int, deadline: float) -> None:
        self._host = host
        self._descriptor = descriptor
        self._deadline = deadline
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def ask(self) -> None:
        """Ask, unless this job has asked before."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop waiting: the job has ended."""
        self._stop.set()

    def _run(self) -> None:
        text = b""
        if self._host is not None:
            until = min(time.monotonic() + WAIT_SECONDS, self._deadline)
            text = encode(wait_for_answer(self._host, until, self._stop)).encode()
        data = memoryview(text + b"\n")
        with suppress(OSError):  # the worker has ended
            while data:
                data = data[os.write(self._descriptor, data) :]


def wait_for_answer(host: GuardHost, until: float, stop: threading.Event) -> GuardAnswer:
    """Ask and wait; the answer has a `failure` if none came in time."""
    token, began, failure = secrets.token_hex(16), time.monotonic(), ""
    try:
        host.ask(token, until)
    except FeatureLineageError as error:
        return GuardAnswer(token=token, failure=f"the question was not delivered: {error.message}")
    while not stop.wait(host.poll_seconds) and time.monotonic() < until:
        try:
            answer = host.answer()
        except FeatureLineageError as error:
            failure = f"; {error.message}"
            continue
        if answer is not None and answer.token == token:
            return answer
    waited = time.monotonic() - began
    return GuardAnswer(
        token=token, failure=f"no answer came within {waited:.0f} s{failure}; see FactsCurrent"
    )
