"""Git hosts that do not answer: once a few questions have waited long, they wait one at a time.

A question to such a host takes its whole deadline, and whoever asks is held as long. Without this
the projects of one host that is out hold all workers, and those of every other host wait.

What counts is silence, not load: a host that answers anybody is asked by all. And a repository that
is slow on its own stands for itself, however many projects ask about it, not for its host.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from feature_lineage.errors import FeatureLineageError, TransientError

LONG_SECONDS: Final = 5.0
"""A question that has waited so long hangs."""

MANY: Final = 4
"""So many askers whose questions hang make a host silent, and as many projects a repository."""

FORGOTTEN_SECONDS: Final = 600.0
"""Who was silent and is not asked any more is not remembered for longer."""

_PORTS: Final = {"https": ":443", "ssh": ":22"}


@dataclass(slots=True, eq=False)
class _Question:
    """One that waits.

    Attributes:
        answers: how many there had been when it began.
    """

    asker: str
    began: float
    answers: int


@dataclass(slots=True)
class _Asked:
    """A host or a repository.

    Attributes:
        waiting: questions that have no answer yet, the oldest first.
        unanswered: askers whose questions hung since the last answer.
        answers: how many there were.
        ended: when the last question did.
    """

    waiting: dict[_Question, None] = field(default_factory=dict)
    unanswered: set[str] = field(default_factory=set)
    answers: int = 0
    ended: float = 0.0

    def silent(self, now: float) -> bool:
        """Whether it is by now; who began before the last answer came tells nothing."""
        for question in self.waiting:
            if now - question.began < LONG_SECONDS:
                break
            if question.answers == self.answers:
                self.unanswered.add(question.asker)
        return len(self.unanswered) >= MANY

    def takes(self, asker: str, now: float) -> bool:
        """Whether a question may be asked now.

        While it is silent, one at a time finds out whether it still is. An asker whose questions
        did not hang need not wait for those whose did: the others may be slow on their own.
        """
        if not self.silent(now):
            return True
        if asker in self.unanswered:
            return not self.waiting
        return all(question.asker in self.unanswered for question in self.waiting)

    def began(self, asker: str, now: float) -> _Question:
        question = _Question(asker, now, self.answers)
        self.waiting[question] = None
        return question

    def ends(self, question: _Question, now: float, *, answered: bool) -> None:
        self.silent(now)
        del self.waiting[question]
        self.ended = now
        if answered:
            self.answers += 1
            self.unanswered.clear()


class SilentHosts:
    """Knows which hosts and repositories leave questions unanswered.

    Args:
        now: seconds of a clock that is never set back.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._asked: dict[str, _Asked] = {}

    @contextlib.contextmanager
    def asking(self, url: str, asker: str) -> Iterator[None]:
        """Around a question about a repository; nothing is asked where it raises at once.

        Args:
            url: of the repository.
            asker: who wants to know: one that asks again and again counts once.

        Raises:
            TransientError: the host or the repository is silent.
        """
        began, host = self._now(), _host(url)
        self._forget(began)
        whole = self._asked.setdefault(host, _Asked())
        part = self._asked.setdefault(url, _Asked())
        if not whole.takes(url, began):
            raise _silence(url, f"to {host}")
        if not part.takes(asker, began):
            raise _silence(url, f"about this repository to {host}")
        of_host, of_repository = whole.began(url, began), part.began(asker, began)
        answered = False
        try:
            yield
            answered = True
        except TransientError as error:
            now = self._now()
            if now - began >= LONG_SECONDS:
                # As those are told that were not asked: a condition that says the same reads alike.
                if whole.silent(now):
                    raise _silence(url, f"to {host}") from error
                if part.silent(now):
                    raise _silence(url, f"about this repository to {host}") from error
            raise
        except FeatureLineageError:
            answered = True
            raise
        finally:
            now = self._now()
            whole.ends(of_host, now, answered=answered)
            part.ends(of_repository, now, answered=answered)

    def _forget(self, now: float) -> None:
        """What there is nothing to tell of: all but what is being asked, or is silent."""
        self._asked = {
            name: asked
            for name, asked in self._asked.items()
            if asked.waiting or (asked.unanswered and now - asked.ended < FORGOTTEN_SECONDS)
        }


def _host(url: str) -> str:
    """Scheme, host and port, without a user."""
    parts = urlsplit(url)
    where = parts.netloc.rpartition("@")[2].lower()
    return f"{parts.scheme}://{where.removesuffix(_PORTS.get(parts.scheme, ''))}"


def _silence(url: str, about: str) -> TransientError:
    return TransientError(
        f"{url}: {MANY} questions {about}, or more, were not answered within {LONG_SECONDS:.0f} s, "
        "so one at a time is asked until an answer comes; check the network to the host, and the "
        "server",
        reason="SourceUnreachable",
    )
