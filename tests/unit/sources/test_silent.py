"""Who may ask a Git host, by what became of the questions of others."""

import pytest

from feature_lineage.errors import AccessRefused, FeatureLineageError, NotFound, TransientError
from feature_lineage.sources.silent import FORGOTTEN_SECONDS, LONG_SECONDS, MANY, SilentHosts

HOST = "https://git.example"
DEADLINE = 20.0


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Question:
    """One that was let through and waits."""

    def __init__(self, hosts: SilentHosts, url: str, asker: str) -> None:
        self._context = hosts.asking(url, asker)
        self._context.__enter__()

    def answer(self) -> None:
        self._context.__exit__(None, None, None)

    def end(self, error: BaseException) -> BaseException:
        """Ends in an error; the one that its asker is told."""
        try:
            assert not self._context.__exit__(type(error), error, None)
        except TransientError as told:
            return told
        return error


class Scene:
    def __init__(self) -> None:
        self.clock = Clock()
        self.hosts = SilentHosts(self.clock)
        self.asked: list[Question] = []

    def ask(self, repository: str, project: str = "", host: str = HOST) -> Question:
        question = Question(self.hosts, f"{host}/{repository}.git", project or repository)
        self.asked.append(question)
        return question

    def refuses(self, repository: str, project: str = "", host: str = HOST) -> str:
        with pytest.raises(TransientError) as caught:
            self.ask(repository, project, host)
        assert caught.value.reason == "SourceUnreachable"
        return caught.value.message

    def hang(self, *, projects_of: str = "", many: int = MANY) -> list[Question]:
        """Questions that wait for long: about as many repositories, or about one."""
        asked = [self.ask(projects_of or f"r{n}", f"p{n}") for n in range(many)]
        self.clock.now += LONG_SECONDS
        return asked


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_however_many_ask_a_host_that_answers_none_is_turned_away(scene: Scene) -> None:
    for _ in range(3):
        asked = [scene.ask(f"r{n}") for n in range(1000)]
        scene.clock.now += LONG_SECONDS - 0.1
        asked.extend(scene.ask("monorepo", f"p{n}") for n in range(1000))
        for question in asked:
            question.answer()
            scene.clock.now += 0.01


def test_a_host_that_answers_slowly_but_steadily_is_asked_by_all(scene: Scene) -> None:
    due: dict[int, list[Question]] = {}
    for second in range(100):
        for question in due.pop(second, []):
            question.answer()
        asked = scene.ask(f"r{second}")
        due.setdefault(second + 1 + min(second, 12), []).append(asked)
        scene.clock.now += 1


def test_of_a_silent_host_the_fact_and_the_next_step_are_told_at_once(scene: Scene) -> None:
    scene.hang()
    scene.ask("next")

    assert scene.refuses("last") == (
        "https://git.example/last.git: 4 questions to https://git.example, or more, were not "
        "answered within 5 s, so one at a time is asked until an answer comes; check the network "
        "to the host, and the server"
    )


def test_fewer_questions_that_hang_are_no_silence(scene: Scene) -> None:
    scene.hang(many=MANY - 1)

    for n in range(100):
        scene.ask(f"other{n}")


def test_another_host_or_port_is_asked(scene: Scene) -> None:
    scene.hang()
    scene.ask("next")

    scene.ask("last", host="https://git.other")
    scene.ask("last", host="https://git.example:8443")
    scene.ask("last", host="ssh://git@git.example")


@pytest.mark.parametrize(
    ("spelled", "other"),
    [
        ("https://git.example", "https://GIT.example:443"),
        ("ssh://git@git.example", "ssh://other@git.example:22"),
        ("https://[fd00::7]:8443", "https://[FD00::7]:8443"),
    ],
)
def test_a_host_is_one_however_it_is_spelled(scene: Scene, spelled: str, other: str) -> None:
    for n in range(MANY):
        scene.ask(f"r{n}", host=spelled)
    scene.clock.now += LONG_SECONDS
    scene.ask("next", host=spelled)

    scene.refuses("last", host=other)


def test_one_at_a_time_finds_out_whether_a_host_is_still_silent(scene: Scene) -> None:
    waiting = scene.hang()
    scene.clock.now += DEADLINE - LONG_SECONDS
    for question in waiting:
        question.end(TransientError("did not end within 20 s"))

    for _ in range(3):
        probe = scene.ask("r0")
        scene.refuses("r1")
        scene.clock.now += DEADLINE
        scene.refuses("r1")
        probe.end(TransientError("did not end within 20 s"))


def test_who_asks_the_first_time_holds_nobody_up_for_long_either(scene: Scene) -> None:
    scene.hang()
    held, turned_away = 0, 0
    for n in range(400):
        try:
            scene.ask(f"new{n}")
            held += 1
        except TransientError:
            turned_away += 1
        scene.clock.now += 0.05

    assert (held, turned_away) == (4, 396)


def test_an_answer_to_anybody_ends_the_silence(scene: Scene) -> None:
    waiting = scene.hang()
    scene.ask("next").answer()

    for n in range(100):
        scene.ask(f"r{n}")
    waiting[0].end(TransientError("did not end within 20 s"))
    scene.ask("last")


@pytest.mark.parametrize(
    "error",
    [NotFound("no such ref"), AccessRefused("no"), FeatureLineageError("strange")],
    ids=lambda error: type(error).__name__,
)
def test_a_refusal_is_an_answer(scene: Scene, error: FeatureLineageError) -> None:
    scene.hang()
    assert scene.ask("next").end(error) is error

    scene.ask("r0")
    scene.ask("r1")


@pytest.mark.parametrize(
    "error", [TransientError("connection refused"), KeyboardInterrupt()], ids=["transient", "end"]
)
def test_what_fails_at_once_is_neither_silence_nor_an_answer(
    scene: Scene, error: BaseException
) -> None:
    for n in range(100):
        assert scene.ask(f"r{n}").end(error) is error
    scene.hang()
    assert scene.ask("next").end(error) is error

    scene.ask("next")
    scene.refuses("last")


def test_a_slow_repository_stands_for_itself_and_not_for_its_host(scene: Scene) -> None:
    scene.hang(projects_of="slow", many=40)

    for n in range(100):
        scene.ask(f"other{n}")
    scene.ask("slow", "new")
    assert scene.refuses("slow", "newer").startswith(
        "https://git.example/slow.git: 4 questions about this repository to https://git.example, "
    )


def test_repositories_that_hang_while_the_host_answers_others_turn_nobody_away(
    scene: Scene,
) -> None:
    slow = [scene.ask(f"slow{n}") for n in range(40)]
    scene.clock.now += 1
    scene.ask("quick").answer()
    scene.clock.now += DEADLINE - 1

    for n in range(100):
        scene.ask(f"other{n}").answer()
    for question in slow:
        told = TransientError("did not end within 20 s")
        assert question.end(told) is told
    scene.ask("slow0")
    scene.ask("slow1")


def test_however_often_slow_repositories_are_asked_about_another_gets_its_turn(
    scene: Scene,
) -> None:
    slow = scene.hang(many=8)
    for question in slow[1:]:
        question.end(TransientError("did not end within 20 s"))
    for n in range(8):
        scene.refuses(f"r{n}")

    scene.ask("other").answer()
    scene.ask("r5")
    scene.ask("r6")


def test_who_asked_in_vain_is_told_the_same_as_who_was_not_let_ask(scene: Scene) -> None:
    waiting = scene.hang()
    scene.clock.now += DEADLINE
    told = waiting[0].end(TransientError("did not end within 20 s"))

    assert str(told) == scene.refuses("r0")


def test_a_silence_that_nobody_asked_into_for_long_is_forgotten(scene: Scene) -> None:
    for question in scene.hang():
        question.end(TransientError("did not end within 20 s"))
    scene.clock.now += FORGOTTEN_SECONDS - 1
    scene.ask("next")
    scene.refuses("last")

    other = Scene()
    for question in other.hang():
        question.end(TransientError("did not end within 20 s"))
    other.clock.now += FORGOTTEN_SECONDS
    other.ask("next")
    other.ask("last")
