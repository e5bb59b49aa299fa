"""A large text is parsed in a reconcile that has a turn only, and in one thread."""

import asyncio
import threading
from datetime import UTC, datetime

import pytest

from feature_lineage.api.enums import OperationKind
from feature_lineage.features.bounds import read_stored
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.kube.jobs import report as job_report
from feature_lineage.large_parses import (
    LARGE_BYTES,
    NeedsTurn,
    in_parser_thread,
    may_parse_large,
    parsing,
)
from feature_lineage.operations.job_report import JobReport, Outcome, decode_report
from feature_lineage.operations.protocol import encode
from feature_lineage.untrusted import parse_bytes

NOW = datetime(2026, 12, 1, tzinfo=UTC)


def registry(entities: int) -> RegistrySnapshot:
    return RegistrySnapshot("p", {"entity": {str(n): {"name": "e"} for n in range(entities)}})


def report(entities: int) -> bytes:
    made = JobReport(
        operation_id="a",
        kind=OperationKind.APPLY,
        project="p",
        outcome=Outcome.SUCCEEDED,
        started_at=NOW,
        finished_at=NOW,
        snapshot=registry(entities),
    )
    return encode(made).encode()


@pytest.mark.parametrize("entities", [1, 10_000])
def test_a_large_report_needs_a_turn(entities: int) -> None:
    text = report(entities)
    large = parse_bytes(text) > LARGE_BYTES
    assert large == (entities > 1)

    with parsing(large=False):
        if large:
            with pytest.raises(NeedsTurn):
                decode_report(text)
        else:
            decode_report(text)
    with parsing(large=True):
        decode_report(text)
    decode_report(text)


def test_a_large_snapshot_needs_a_turn() -> None:
    snapshot = registry(10_000)
    text = snapshot.to_json().encode()

    with parsing(large=False), pytest.raises(NeedsTurn):
        read_stored(text, snapshot.digest)
    assert read_stored(text, snapshot.digest) == snapshot


async def test_the_parser_thread_has_the_turn_of_its_caller() -> None:
    with parsing(large=False):
        assert not await in_parser_thread(may_parse_large)
    assert await in_parser_thread(may_parse_large)


async def test_parses_are_in_one_thread_beside_the_loop() -> None:
    release = threading.Event()

    def parse() -> int:
        release.wait()
        return threading.get_ident()

    parses = [asyncio.create_task(in_parser_thread(parse)) for _ in range(2)]
    await asyncio.sleep(0)  # both have begun
    release.set()
    idents = await asyncio.gather(*parses)

    assert len(set(idents)) == 1
    assert threading.get_ident() not in idents


async def test_only_the_report_that_is_parsed_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text that kills the process marks no report that waits for the parser."""
    marked: dict[str, tuple[str, ...]] = {}
    most = 0

    async def mark(_api: object, _namespace: str, name: str, marks: tuple[str, ...]) -> None:
        marked[name] = marks

    async def read(name: str) -> None:
        nonlocal most
        config_map = {"metadata": {"name": name}}
        async with job_report._opened(None, config_map, "ml", name):  # type: ignore[arg-type]
            await in_parser_thread(lambda: None)
            most = max(most, sum(map(bool, marked.values())))

    monkeypatch.setattr(job_report, "_mark", mark)
    await asyncio.gather(*(read(f"r{number}") for number in range(5)))

    assert most == 1
    assert marked == {f"r{number}": () for number in range(5)}
