"""Events pass from kopf's thread to the host's loop: all of them, in order, in slices."""

import asyncio

from feature_lineage.kube.cache.kopf_watch import KopfWatch, WatchEvent
from feature_lineage.kube.kinds import MODELS


def events(count: int) -> list[WatchEvent]:
    return [WatchEvent(MODELS, {"number": number}) for number in range(count)]


async def test_watch_events_keep_their_order() -> None:
    received: list[WatchEvent] = []
    watcher = KopfWatch(None, (), received.append, lambda: None)
    watcher._events.extend(events(1000))
    watcher._report()
    while len(received) < 1000:
        await asyncio.sleep(0)

    assert [event.body["number"] for event in received] == list(range(1000))


async def test_an_error_of_one_event_loses_no_other() -> None:
    received: list[int] = []

    def receive(event: WatchEvent) -> None:
        number = event.body["number"]
        if number == 3:
            raise KeyError(number)
        received.append(number)

    raised: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: raised.append(context["exception"]))
    watcher = KopfWatch(None, (), receive, lambda: None)
    watcher._events.extend(events(6))
    loop.call_soon(watcher._report)
    while len(received) < 5:
        await asyncio.sleep(0)

    assert received == [0, 1, 2, 4, 5]
    assert len(raised) == 1


async def test_a_long_list_does_not_block_the_loop() -> None:
    received: list[WatchEvent] = []
    beats = 0

    def receive(event: WatchEvent) -> None:
        received.append(event)
        end = asyncio.get_running_loop().time() + 0.002
        while asyncio.get_running_loop().time() < end:
            pass

    watcher = KopfWatch(None, (), receive, lambda: None)
    watcher._events.extend(events(50))
    watcher._report()
    while len(received) < 50:
        beats += 1
        await asyncio.sleep(0)

    assert beats >= 5
