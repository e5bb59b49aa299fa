"""A job asks its host for a newer guard: what it accepts as the answer, and how long it waits."""

import base64
import os
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from feature_lineage.errors import TransientError
from feature_lineage.operations.newer_guard import (
    ANSWER_FILE,
    ANSWER_KEY,
    ANSWERED_KEY,
    QUESTION_FILE,
    QUESTION_KEY,
    GuardAnswer,
    pack_answer,
    question_token,
    read_answer,
)
from feature_lineage.operations.protection import Guard
from feature_lineage.operations.protocol import encode
from feature_lineage.runner.newer_guard import FolderHost, GuardQuestion, wait_for_answer
from feature_lineage.runner.pod_host import PodHost
from feature_lineage.runner.publish import Retries

GUARD = Guard(datetime(2026, 11, 30, tzinfo=UTC), unknown=("driver_model/1",))
SOON = 30.0


class Answers:
    """A host that gives the answers to each question, one after another."""

    poll_seconds = 0.0

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def ask(self, token: str, until: float) -> None:
        self.asked.append(token)

    def answer(self) -> GuardAnswer | None:
        found = self.answers.pop(0) if self.answers else None
        if isinstance(found, Exception):
            raise found
        return found(self.asked[-1]) if callable(found) else found


def to(token: str) -> GuardAnswer:
    return GuardAnswer(token=token, guard=GUARD)


def wait(host: Any, seconds: float = SOON) -> GuardAnswer:
    return wait_for_answer(host, time.monotonic() + seconds, threading.Event())


def test_only_the_answer_to_the_question_counts() -> None:
    other = GuardAnswer(token="0" * 32, guard=Guard(datetime.now(UTC)))
    host = Answers(None, other, TransientError("HTTP 503"), to)

    answer = wait(host)

    assert answer.guard == GUARD
    assert question_token(answer.token) == host.asked[0] != ""


def test_a_wait_without_an_answer_ends_and_says_why() -> None:
    host = Answers(*[TransientError("ConfigMap n/r-0 could not be read: HTTP 503")] * 100_000)

    answer = wait(host, 0.1)

    assert answer.guard is None
    assert answer.failure.startswith("no answer came within 0 s; ConfigMap n/r-0 could not be read")


def test_a_question_that_is_not_delivered_says_why() -> None:
    class Away(Answers):
        def ask(self, token: str, until: float) -> None:
            raise TransientError("ConfigMap n/r-0 could not be written: HTTP 503")

    assert wait(Away()).failure == (
        "the question was not delivered: ConfigMap n/r-0 could not be written: HTTP 503"
    )


def test_a_job_asks_once_only() -> None:
    """The code of the repository can send any number of questions to the supervisor."""
    host = Answers(to, to, to)
    reads, writes = os.pipe()
    question = GuardQuestion(host, writes, time.monotonic() + SOON)

    for _ in range(3):
        question.ask()

    with os.fdopen(reads, "rb") as pipe:
        line = pipe.readline()
        os.close(writes)
        assert pipe.read() == b""
    assert GuardAnswer.model_validate_json(line).guard == GUARD
    assert len(host.asked) == 1


def test_a_folder_holds_the_question_and_the_answer(tmp_path: Path) -> None:
    host = FolderHost(tmp_path)
    assert host.answer() is None

    host.ask("a" * 32, 0)
    (tmp_path / ANSWER_FILE).write_text("{")
    assert host.answer() is None
    (tmp_path / ANSWER_FILE).write_text(encode(to("a" * 32)))

    assert (tmp_path / QUESTION_FILE).read_text() == "a" * 32
    assert host.answer() == to("a" * 32)


def test_a_pod_reads_the_answer_to_its_question_only() -> None:
    class Server:
        data: dict[str, Any]

        def patch_config_map(self, *_: Any) -> None:
            namespace, name, body, retries = _
            assert (namespace, name) == ("n", "r-0")
            assert isinstance(retries, Retries)
            self.data = body

        def config_map(self, *_: Any) -> dict[str, Any]:
            return self.data

    server = Server()
    host = PodHost(server, "n", "r-0")  # type: ignore[arg-type]
    host.ask("a" * 32, SOON)
    assert server.data == {"data": {QUESTION_KEY: "a" * 32}}
    assert host.answer() is None

    packed = base64.b64encode(pack_answer(to("b" * 32))).decode()
    server.data |= {"binaryData": {ANSWER_KEY: packed}}
    server.data["data"][ANSWERED_KEY] = "b" * 32
    assert host.answer() is None
    server.data["data"][ANSWERED_KEY] = "a" * 32
    assert host.answer() == read_answer(base64.b64decode(packed))


@pytest.mark.parametrize("text", [None, 7, "", "A" * 32, "a" * 33, "a" * 32 + "\n", "a" * 10**6])
def test_anything_but_a_token_is_no_question(text: object) -> None:
    assert question_token(text) == ""
