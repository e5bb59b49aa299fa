"""Whose turn it is to hold large parsed texts."""

from hypothesis import given
from hypothesis import strategies as st

from feature_lineage.decide.facts import Key
from feature_lineage.workqueue.large_turns import LARGE_AT_ONCE, LargeTurns


def key(namespace: str, name: str = "p") -> Key:
    return Key("FeatureStoreProject", namespace, name)


def test_a_namespace_has_one_turn_at_a_time() -> None:
    turns = LargeTurns()

    assert turns.ask(key("a", "1"))
    assert not turns.ask(key("a", "2"))
    assert turns.ask(key("b"))


def test_all_namespaces_together_have_few_turns() -> None:
    turns = LargeTurns()
    asked = [turns.ask(key(str(number))) for number in range(LARGE_AT_ONCE + 3)]

    assert asked.count(True) == LARGE_AT_ONCE


def test_the_end_of_a_turn_begins_the_next_one() -> None:
    turns = LargeTurns()
    turns.ask(key("a", "1"))
    turns.ask(key("a", "2"))

    assert turns.give_back(key("a", "1")) == [key("a", "2")]
    assert turns.has(key("a", "2"))
    assert not turns.has(key("a", "1"))


def test_another_namespace_comes_before_the_next_key() -> None:
    turns = LargeTurns(1)
    for each in (key("a", "1"), key("a", "2"), key("a", "3"), key("b")):
        turns.ask(each)

    assert turns.give_back(key("a", "1")) == [key("b")]
    assert turns.give_back(key("b")) == [key("a", "2")]


def test_who_asks_again_keeps_its_place() -> None:
    turns = LargeTurns(1)
    for each in (key("a"), key("b"), key("c"), key("b")):
        turns.ask(each)

    assert turns.give_back(key("a")) == [key("b")]


def test_a_deleted_key_waits_no_longer() -> None:
    turns = LargeTurns(1)
    for each in (key("a"), key("b"), key("c")):
        turns.ask(each)

    assert turns.give_back(key("b")) == []
    assert turns.give_back(key("a")) == [key("c")]


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("123")), max_size=60))
def test_everyone_who_asks_has_a_turn(asked: list[tuple[str, str]]) -> None:
    turns, waiting, holding = LargeTurns(), set(), []
    for each in (key(namespace, name) for namespace, name in asked):
        if each in holding:
            continue
        if turns.ask(each):
            holding.append(each)
        else:
            waiting.add(each)
    while holding:
        assert len({each.namespace for each in holding}) == len(holding) <= LARGE_AT_ONCE
        begun = turns.give_back(holding.pop(0))
        holding += begun
        waiting -= set(begun)
    assert not waiting
