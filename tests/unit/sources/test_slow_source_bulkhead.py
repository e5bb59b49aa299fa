"""Which projects may send a request, by the result of their last request."""

import asyncio
from collections.abc import Callable

import pytest

from feature_lineage.errors import FeatureLineageError, NotFound, TransientError
from feature_lineage.sources.slow_source_bulkhead import (
    RESET_SECONDS,
    SLOTS,
    SLOW_SECONDS,
    SlowSourceBulkhead,
)

DEADLINE = 20.0


class BulkheadSetup:
    """Requests that the test ends, with a clock that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0
        self.bulkhead = SlowSourceBulkhead(lambda: self.now)
        self._open: list[object] = []  # a context that is garbage collected is left

    def send(self, project: str) -> Callable[[BaseException | None], None]:
        """Start a request; the returned function ends it, with an answer or an error."""
        context = self.bulkhead.slot(project)
        context.__enter__()
        self._open.append(context)

        def end(error: BaseException | None = None) -> None:
            if error is None:
                context.__exit__(None, None, None)
            else:
                assert not context.__exit__(type(error), error, None)

        return end

    def hang(self, *projects: str) -> None:
        """All send a request at once, and all time out."""
        requests = [self.send(project) for project in projects]
        self.now += DEADLINE
        for project, end in zip(projects, requests, strict=True):
            end(timeout(project))

    def refused(self, project: str) -> str:
        with pytest.raises(TransientError) as caught:
            self.send(project)
        assert caught.value.reason == "SourceUnreachable"
        return caught.value.message


def timeout(project: str) -> TransientError:
    return TransientError(f"{project} timed out", reason="SourceUnreachable")


@pytest.fixture
def scene() -> BulkheadSetup:
    return BulkheadSetup()


MANY = tuple(f"p{n}" for n in range(40))


def test_projects_that_timed_out_share_the_slots(scene: BulkheadSetup) -> None:
    scene.hang(*MANY)

    requests = [scene.send(project) for project in MANY[:SLOTS]]

    assert [scene.refused(project) for project in MANY[SLOTS:]] == [
        f"{project} timed out" for project in MANY[SLOTS:]
    ]
    requests[0](None)
    scene.send(MANY[SLOTS])
    scene.refused(MANY[-1])


def test_a_project_that_got_an_answer_needs_no_slot(scene: BulkheadSetup) -> None:
    scene.send("good")(None)
    scene.hang(*MANY)
    for project in MANY[:SLOTS]:
        scene.send(project)

    for _ in range(3):
        good, first = scene.send("good"), scene.send("new")
        scene.now += SLOW_SECONDS * 2
        good(None)
        first(None)


@pytest.mark.parametrize(
    ("seconds", "error"),
    [
        pytest.param(0.1, None, id="an answer"),
        pytest.param(DEADLINE, None, id="a late answer"),
        pytest.param(DEADLINE, NotFound("no such ref"), id="a refusal"),
        pytest.param(0.1, timeout("one"), id="a quick failure"),
    ],
)
def test_a_request_that_does_not_time_out_ends_the_limit(
    scene: BulkheadSetup, seconds: float, error: FeatureLineageError | None
) -> None:
    scene.hang("one")
    end = scene.send("one")
    scene.now += seconds
    end(error)

    scene.hang(*MANY)
    for project in MANY[:SLOTS]:
        scene.send(project)

    scene.send("one")


def test_a_cancelled_request_changes_nothing(scene: BulkheadSetup) -> None:
    scene.hang(*MANY)
    for project in MANY[:SLOTS]:
        end = scene.send(project)
        scene.now += DEADLINE
        end(asyncio.CancelledError())
    for project in MANY[:SLOTS]:
        scene.send(project)

    scene.refused(MANY[-1])


def test_the_limit_ends_after_some_time(scene: BulkheadSetup) -> None:
    scene.hang(*MANY)
    for project in MANY[:SLOTS]:
        scene.send(project)
    scene.now += RESET_SECONDS - 1
    scene.refused(MANY[-1])

    scene.now += 1

    scene.send(MANY[-1])


def test_old_timeouts_are_removed(scene: BulkheadSetup) -> None:
    for n in range(100):
        scene.hang(f"passing-{n}")

    assert len(scene.bulkhead._timed_out) <= RESET_SECONDS / DEADLINE + 1
