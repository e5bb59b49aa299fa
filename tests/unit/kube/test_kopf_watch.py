"""Changes cross from kopf's thread into the host's loop: all of them, in order, in slices."""

import asyncio

from feature_lineage.kube.cache.kopf_watch import Change, KopfWatch
from feature_lineage.kube.kinds import MODELS


def changes(count: int) -> list[Change]:
    return [Change(MODELS, {"number": number}) for number in range(count)]


async def test_changes_are_told_in_the_order_in_which_they_were_noticed() -> None:
    told: list[Change] = []
    watcher = KopfWatch(None, (), told.append, lambda: None)
    watcher._changes.extend(changes(1000))
    watcher._hand_over()
    while len(told) < 1000:
        await asyncio.sleep(0)

    assert [change.body["number"] for change in told] == list(range(1000))


async def test_a_change_that_cannot_be_taken_costs_none_behind_it() -> None:
    told: list[int] = []

    def tell(change: Change) -> None:
        number = change.body["number"]
        if number == 3:
            raise KeyError(number)
        told.append(number)

    raised: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: raised.append(context["exception"]))
    watcher = KopfWatch(None, (), tell, lambda: None)
    watcher._changes.extend(changes(6))
    loop.call_soon(watcher._hand_over)
    while len(told) < 5:
        await asyncio.sleep(0)

    assert told == [0, 1, 2, 4, 5]
    assert len(raised) == 1


async def test_a_long_listing_leaves_the_loop_to_others_now_and_then() -> None:
    told: list[Change] = []
    beats = 0

    def tell(change: Change) -> None:
        told.append(change)
        end = asyncio.get_running_loop().time() + 0.002
        while asyncio.get_running_loop().time() < end:
            pass

    watcher = KopfWatch(None, (), tell, lambda: None)
    watcher._changes.extend(changes(50))
    watcher._hand_over()
    while len(told) < 50:
        beats += 1
        await asyncio.sleep(0)

    assert beats >= 5
