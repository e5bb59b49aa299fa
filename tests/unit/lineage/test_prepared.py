"""Prepared answers: used while nothing changed, and within a bound of memory."""

import gc
import math
import weakref

import pytest
from tests.unit.decide.build import ProjectScenario

from feature_lineage.decide.observed import ModelFacts
from feature_lineage.lineage import prepared as module
from feature_lineage.lineage.prepared import MAX_AGE_SECONDS, PreparedAnswers, prepared
from feature_lineage.lineage.query import Stamp

PROJECT = ProjectScenario().project
FACTS = ModelFacts(None)
NOW = Stamp(PROJECT, weakref.ref(FACTS))


def test_an_answer_is_used_until_it_is_old() -> None:
    now = [0.0]
    answers = PreparedAnswers(lambda: now[0])
    answers.keep("a", NOW, prepared(b"{}"))
    assert answers.get("a", NOW) is not None
    assert answers.get("b", NOW) is None
    now[0] = MAX_AGE_SECONDS + 1
    assert answers.get("a", NOW) is None


def test_other_facts_or_another_status_need_another_answer() -> None:
    answers = PreparedAnswers()
    equal = ModelFacts(None)
    for other in (
        Stamp(PROJECT.model_copy(), weakref.ref(FACTS)),
        Stamp(PROJECT, weakref.ref(equal)),
        Stamp(PROJECT, None),
    ):
        answers.keep("a", NOW, prepared(b"{}"))
        assert answers.get("a", other) is None


def test_facts_that_are_gone_are_never_those_of_now() -> None:
    facts = ModelFacts(None)
    stamp = Stamp(PROJECT, weakref.ref(facts))
    del facts
    gc.collect()
    assert not stamp.same(stamp)


def test_the_memory_of_all_answers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 300)
    answers = PreparedAnswers()
    for key in "abc":
        answers.keep(key, NOW, prepared(b"x" * 100))
    assert answers.get("a", NOW) is not None
    answers.keep("d", NOW, prepared(b"x" * 100))
    assert answers.get("b", NOW) is None, "used longest ago"
    assert answers.get("a", NOW) is not None
    answers.keep("e", NOW, prepared(b"x" * 400))
    assert [answers.get(key, NOW) for key in "acde"] == [None] * 4


def test_equal_bodies_have_one_etag_and_are_packed_alike() -> None:
    one, two = prepared(b"x" * 5000), prepared(b"x" * 5000)
    assert one == two
    assert one.packed
    assert len(one.content) < 100
    assert not prepared(b"short").packed


def test_what_only_facts_change_is_used_until_they_do() -> None:
    now = [0.0]
    answers = PreparedAnswers(lambda: now[0])
    answers.keep("a", NOW, prepared(b"{}"), math.inf)
    now[0] = 1e9
    assert answers.get("a", NOW) is not None
