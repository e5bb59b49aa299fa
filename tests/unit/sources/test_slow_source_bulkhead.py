"""Who may ask a Git host, by what became of its own last question."""

import asyncio
from collections.abc import Callable

import pytest

from feature_lineage.errors import FeatureLineageError, NotFound, TransientError
from feature_lineage.sources.slow_source_bulkhead import (
    FORGOTTEN_SECONDS,
    LONG_SECONDS,
    TOGETHER,
    SlowSourceBulkhead,
)

DEADLINE = 20.0


class Scene:
    """Questions that end when they are told to, on a clock of its own."""

    def __init__(self) -> None:
        self.now = 0.0
        self.unanswered = SlowSourceBulkhead(lambda: self.now)
        self._asked: list[object] = []  # a question ends with whoever holds it

    def ask(self, asker: str) -> Callable[[BaseException | None], None]:
        """Ask; what is returned ends the question, by an answer or an error."""
        context = self.unanswered.asking(asker)
        context.__enter__()
        self._asked.append(context)

        def end(error: BaseException | None = None) -> None:
            if error is None:
                context.__exit__(None, None, None)
            else:
                assert not context.__exit__(type(error), error, None)

        return end

    def hang(self, *askers: str) -> None:
        """All ask at once, and none is answered."""
        asked = [self.ask(asker) for asker in askers]
        self.now += DEADLINE
        for asker, end in zip(askers, asked, strict=True):
            end(silence(asker))

    def refused(self, asker: str) -> str:
        with pytest.raises(TransientError) as caught:
            self.ask(asker)
        assert caught.value.reason == "SourceUnreachable"
        return caught.value.message


def silence(asker: str) -> TransientError:
    return TransientError(f"{asker} was not answered", reason="SourceUnreachable")


@pytest.fixture
def scene() -> Scene:
    return Scene()


MANY = tuple(f"p{n}" for n in range(40))


def test_of_those_that_were_not_answered_a_few_ask_at_a_time(scene: Scene) -> None:
    scene.hang(*MANY)

    asking = [scene.ask(asker) for asker in MANY[:TOGETHER]]

    assert [scene.refused(asker) for asker in MANY[TOGETHER:]] == [
        f"{asker} was not answered" for asker in MANY[TOGETHER:]
    ]
    asking[0](None)
    scene.ask(MANY[TOGETHER])
    scene.refused(MANY[-1])


def test_whoever_was_answered_is_never_turned_away(scene: Scene) -> None:
    scene.ask("good")(None)
    scene.hang(*MANY)
    for asker in MANY[:TOGETHER]:
        scene.ask(asker)

    for _ in range(3):
        good, first = scene.ask("good"), scene.ask("new")
        scene.now += LONG_SECONDS * 2
        good(None)
        first(None)


@pytest.mark.parametrize(
    ("seconds", "error"),
    [
        pytest.param(0.1, None, id="an answer"),
        pytest.param(DEADLINE, None, id="a late answer"),
        pytest.param(DEADLINE, NotFound("no such ref"), id="a refusal"),
        pytest.param(0.1, silence("one"), id="a quick failure"),
    ],
)
def test_what_ends_in_another_way_than_by_silence_makes_up_for_it(
    scene: Scene, seconds: float, error: FeatureLineageError | None
) -> None:
    scene.hang("one")
    end = scene.ask("one")
    scene.now += seconds
    end(error)

    scene.hang(*MANY)
    for asker in MANY[:TOGETHER]:
        scene.ask(asker)

    scene.ask("one")


def test_a_question_that_is_called_off_tells_nothing(scene: Scene) -> None:
    scene.hang(*MANY)
    for asker in MANY[:TOGETHER]:
        end = scene.ask(asker)
        scene.now += DEADLINE
        end(asyncio.CancelledError())
    for asker in MANY[:TOGETHER]:
        scene.ask(asker)

    scene.refused(MANY[-1])


def test_nobody_is_turned_away_for_good(scene: Scene) -> None:
    scene.hang(*MANY)
    for asker in MANY[:TOGETHER]:
        scene.ask(asker)
    scene.now += FORGOTTEN_SECONDS - 1
    scene.refused(MANY[-1])

    scene.now += 1

    scene.ask(MANY[-1])


def test_who_comes_and_goes_is_not_remembered(scene: Scene) -> None:
    for n in range(100):
        scene.hang(f"passing-{n}")

    assert len(scene.unanswered._unanswered) <= FORGOTTEN_SECONDS / DEADLINE + 1
