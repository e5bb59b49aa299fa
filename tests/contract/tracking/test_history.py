"""The history of aliases, registry and operations on a real server, found again by time."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.contract.tracking.conftest import Rest, unique
from tests.contract.tracking.test_ops import experiment_of
from tests.servers.mlflow import Server

from feature_lineage.cli.history_output import entry_json
from feature_lineage.cli.main import main
from feature_lineage.errors import InvalidReport
from feature_lineage.operations import alias_history
from feature_lineage.operations.alias_history import (
    ALIASES,
    HISTORY_TAG,
    WHOLE_TAG,
    AliasChange,
    Aliases,
    AliasMove,
    AliasRecord,
    AliasState,
    alias_run,
    changed,
)
from feature_lineage.operations.past import Entry, Place, Unreadable
from feature_lineage.operations.past_operations import PastOperation
from feature_lineage.operations.records import (
    OPERATION_ID_TAG,
    REGISTRY_DIGEST_TAG,
    RESOURCE_TAG,
    OpsRun,
)
from feature_lineage.tracking import MLflowRegistry, history_reader, mlflow_errors
from feature_lineage.tracking.client import MLflowClient
from feature_lineage.tracking.history_reader import cursor_of
from feature_lineage.tracking.ops import RECORDED_TAG
from feature_lineage.tracking.parsing import milliseconds
from feature_lineage.untrusted import parse_json

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def place() -> Place:
    return Place.of(unique("p").replace("-", "_"), "-feast-ops", "ml", "churn")


class Writer:
    """Records states of aliases, one minute after another."""

    def __init__(self, registry: MLflowRegistry, place: Place) -> None:
        self.registry, self.place = registry, place
        self.state = AliasState("", START - MINUTE, {}, "")

    def change(self, aliases: Aliases, exists: Mapping[str, Any]) -> AliasChange:
        digest = alias_history.digest_of(aliases)
        return changed(self.state, aliases, digest, self.state.at + MINUTE, exists, {})

    async def write(self, aliases: Aliases, exists: Mapping[str, Any] | None = None) -> AliasChange:
        change = self.change(aliases, exists or {})
        project = self.place.operations.removesuffix("-feast-ops")
        run = alias_run(change, project, self.place.resource, self.place.aliases)
        await self.registry.record(run)
        self.state = change.state
        return change


@pytest.fixture
def writer(registry: MLflowRegistry, place: Place) -> Writer:
    return Writer(registry, place)


async def entries(registry: MLflowRegistry, place: Place, **limits: Any) -> list[Entry]:
    return [entry async for entry in registry.entries(place, **limits)]


async def aliases_at(registry: MLflowRegistry, place: Place, minute: float) -> Aliases | None:
    state = await registry.aliases_at(place, START + minute * MINUTE)
    return state.aliases if state is not None else None


async def test_aliases_are_found_at_each_time(
    registry: MLflowRegistry, place: Place, writer: Writer
) -> None:
    states: list[Aliases] = [
        {"m": {"champion": "1"}},
        {"m": {"champion": "2"}},
        {"m": {"champion": "2", "shadow": "1"}, "ünïcode model": {"a'b\"": "7"}},
        {"m": {"champion": "2"}},
        {},
    ]
    assert await aliases_at(registry, place, 0) is None
    for state in states:
        await writer.write(state, {"m": ("1", "2")})

    assert await aliases_at(registry, place, -0.5) is None
    found = [await aliases_at(registry, place, minute + 0.5) for minute in range(5)]
    assert found == states
    assert [await aliases_at(registry, place, minute) for minute in range(5)] == states
    last = await registry.aliases_at(place)
    assert last is not None
    assert (last.record, last.at, last.deltas) == (writer.state.record, writer.state.at, 4)

    told = await entries(registry, place)
    assert [entry.moves for entry in told if isinstance(entry, AliasRecord)] == [
        (),
        (AliasMove("m", "champion", "1", "2"),),
        (AliasMove("m", "shadow", "", "1"), AliasMove("ünïcode model", "a'b\"", "", "7")),
        (
            AliasMove("m", "shadow", "1", "", "AliasRemoved"),
            AliasMove("ünïcode model", "a'b\"", "7", "", "ModelGone"),
        ),
        (AliasMove("m", "champion", "2", "", "AliasRemoved"),),
    ]


async def test_a_deleted_version_is_told_from_a_removed_alias(writer: Writer) -> None:
    await writer.write({"m": {"a": "1", "b": "2"}})

    change = await writer.write({}, {"m": ("2",)})

    assert [move.why for move in change.moves] == ["VersionGone", "AliasRemoved"]


async def test_the_same_change_is_one_record(
    registry: MLflowRegistry, place: Place, writer: Writer, rest: Rest
) -> None:
    """Two processes observe the same change at different times, and one is killed on the way."""
    await writer.write({"m": {"champion": "1"}})
    before = writer.state
    first = await writer.write({"m": {"champion": "2"}})
    writer.state = replace(before, at=before.at + 5 * MINUTE)

    again = await writer.write({"m": {"champion": "2"}})

    assert again.state.record == first.state.record
    assert len(rest.runs(experiment_of(rest, place.aliases))) == 2


async def test_a_second_writer_of_another_change_does_not_count(
    registry: MLflowRegistry, place: Place, writer: Writer
) -> None:
    await writer.write({"m": {"champion": "1"}})
    before = writer.state
    await writer.write({"m": {"champion": "2"}})
    other = Writer(registry, place)
    other.state = replace(before, at=before.at + MINUTE)
    await other.write({"m": {"champion": "3"}})

    assert await aliases_at(registry, place, 9) == {"m": {"champion": "2"}}


async def test_large_changes_and_many_records_hold_all_aliases(
    registry: MLflowRegistry, place: Place, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alias_history, "WHOLE_EVERY", 3)
    writer.state = replace(writer.state, deltas=3)
    large = {f"model_{n:05}": {"champion": str(n)} for n in range(2000)}

    whole = [(await writer.write({"m": {"champion": str(n)}})).whole for n in range(5)]
    whole.append((await writer.write(large)).whole)

    assert whole == [True, False, False, False, True, True]
    assert await aliases_at(registry, place, 5) == large


async def test_a_missing_record_is_an_error(
    registry: MLflowRegistry, place: Place, writer: Writer, rest: Rest
) -> None:
    for n in range(4):
        await writer.write({"m": {"champion": str(n)}})
    lost = next(e for e in await entries(registry, place) if cursor_of(e)[0] == ms(1))
    rest.post("runs/delete", run_id=lost.run_id)

    assert await aliases_at(registry, place, 0.5) == {"m": {"champion": "0"}}
    with pytest.raises(InvalidReport, match="which is missing"):
        await registry.aliases_at(place)


@pytest.mark.parametrize("output", ["text", "json"])
async def test_a_gap_hides_no_other_part(
    mlflow_server: Server, place: Place, writer: Writer, rest: Rest, tmp_path: Path, output: str
) -> None:
    for n in range(3):
        await writer.write({"m": {"champion": str(n)}})
    run = operation(place, 0, "a" * 64)
    await writer.registry.record(run)
    lost = next(e for e in await entries(writer.registry, place) if cursor_of(e)[0] == ms(1))
    rest.post("runs/delete", run_id=lost.run_id)
    document = {
        "apiVersion": "featurelineage.io/v1alpha1",
        "kind": "FeatureStoreProject",
        "metadata": {"name": "churn", "namespace": "ml"},
        "spec": {
            "project": place.operations.removesuffix("-feast-ops"),
            "source": {"local": {"path": "."}},
            "mlflow": {"trackingUri": mlflow_server.url},
        },
    }
    (tmp_path / "m.yaml").write_text(json.dumps(document))
    at = (START + 5 * MINUTE).isoformat()

    done = await asyncio.to_thread(
        CliRunner().invoke, main, ["history", str(tmp_path), "--as-of", at, "-o", output]
    )

    assert done.exit_code == 0, done.output
    if output == "text":
        assert "  Aliases: not known: MLflow run " in done.output
        assert f"  Registry: {'a' * 12} since" in done.output
        return
    (answer,) = json.loads(done.output)
    assert answer["aliases"] is None
    assert "which is missing" in answer["errors"]["aliases"]
    assert answer["registry"]["digest"] == "a" * 64
    assert [each["operation"] for each in answer["operations"]] == [run.operation_id]


async def test_too_many_records_are_a_gap(
    registry: MLflowRegistry, place: Place, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next record has all aliases, and the history goes on from there."""
    monkeypatch.setattr(history_reader, "MAX_DELTAS", 2)
    for n in range(4):
        await writer.write({"m": {"champion": str(n)}})
    with pytest.raises(InvalidReport, match="has more than 2 records of aliases"):
        await registry.aliases_at(place)
    assert await aliases_at(registry, place, 2) == {"m": {"champion": "2"}}

    writer.state = AliasState("", writer.state.at, {}, "again")
    await writer.write({"m": {"champion": "9"}})

    assert await aliases_at(registry, place, 99) == {"m": {"champion": "9"}}


async def test_a_record_of_the_future_is_left_out(
    registry: MLflowRegistry, place: Place, writer: Writer
) -> None:
    await writer.write({"m": {"champion": "1"}})
    other = Writer(registry, place)
    other.state = replace(other.state, at=datetime(9999, 12, 31, 23, tzinfo=UTC))
    await other.write({"m": {"champion": "666"}})

    assert await aliases_at(registry, place, 9) == {"m": {"champion": "1"}}


async def test_runs_of_other_resources_do_not_count(
    registry: MLflowRegistry, place: Place, writer: Writer
) -> None:
    await writer.write({"m": {"champion": "1"}})
    other = Writer(registry, replace(place, resource="evil/churn"))
    await other.write({"m": {"champion": "666"}})

    assert await aliases_at(registry, place, 9) == {"m": {"champion": "1"}}
    assert len(await entries(registry, place)) == 1


@pytest.mark.parametrize(
    "tags",
    [
        {"featurelineage.io/alias-moves-0000": "[" * 100},
        {"featurelineage.io/alias-moves-0000": '[["m","a","1"]]'},
        {"featurelineage.io/alias-moves-0000": '[["m","a","1","2","Because"]]'},
        {"featurelineage.io/alias-moves-0000": ""},
    ],
)
async def test_a_record_of_another_form_is_named(
    registry: MLflowRegistry, place: Place, writer: Writer, tags: dict[str, str]
) -> None:
    """The chain goes on without it, and the list says which run it is."""
    await writer.write({"m": {"champion": "1"}})
    change = writer.change({"m": {"champion": "9"}}, {})
    forged = alias_run(change, "p", place.resource, place.aliases)
    run_id = await registry.record(replace(forged, tags={**forged.tags, **tags}))

    assert await aliases_at(registry, place, 9) == {"m": {"champion": "1"}}
    (odd,) = [e for e in await entries(registry, place) if isinstance(e, Unreadable)]
    assert odd.run_id == run_id
    assert run_id in odd.error


FORGED = {HISTORY_TAG: ALIASES, RECORDED_TAG: "true"}


async def test_a_start_that_is_no_time_is_named(
    registry: MLflowRegistry, client: MLflowClient, place: Place, writer: Writer
) -> None:
    await writer.write({"m": {"champion": "1"}})
    experiment, _ = await client.experiment(place.aliases)
    tags = {**FORGED, RESOURCE_TAG: place.resource}
    starts = (-(10**16), 10**16, 10**18)
    forged = [await client.create_run(experiment, "forged", start, tags) for start in starts]
    await writer.write({"m": {"champion": "2"}})

    told = await entries(registry, place)

    odd = [entry for entry in told if isinstance(entry, Unreadable)]
    assert odd == [told[0], *told[3:]]
    assert [entry.run_id for entry in odd] == [str(run["info"]["run_id"]) for run in forged]
    assert all(entry.run_id in entry.error and entry_json(entry) for entry in odd)
    assert await aliases_at(registry, place, 9) == {"m": {"champion": "2"}}
    rest = [await entries(registry, place, after=cursor_of(each)) for each in told]
    assert rest == [told[n:] for n in range(1, 6)]


@pytest.mark.parametrize(
    ("whole", "name"),
    [
        ("true", "forged"),
        ("false", "forged"),
        pytest.param("false", "n" * 16 * 1024, id="a name of 16 KiB"),
        pytest.param("false", '", "start_time": 5\N{BELL}' * 50_000, id="a name of a megabyte"),
    ],
)
async def test_a_run_with_too_many_tags_is_named(
    registry: MLflowRegistry,
    place: Place,
    writer: Writer,
    whole: str,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await writer.write({"m": {"champion": "1"}})
    change = writer.change({"m": {"champion": "9"}}, {})
    forged = alias_run(change, "p", place.resource, place.aliases)
    many = {f"featurelineage.io/alias-moves-{n:04}": "x" for n in range(2000)}
    tags = {**forged.tags, **many, WHOLE_TAG: whole}
    run_id = await registry.record(replace(forged, tags=tags, name=name))
    writer.state = replace(writer.state, at=change.state.at)
    await writer.write({"m": {"champion": "2"}})
    monkeypatch.setattr(mlflow_errors, "parse_json", lambda text: parse_json(text, 100_000))

    told = await entries(registry, place)

    first, odd, last = told
    assert isinstance(first, AliasRecord)
    assert isinstance(odd, Unreadable)
    assert isinstance(last, AliasRecord)
    assert (odd.run_id, odd.at) == (run_id, change.state.at)
    assert run_id in odd.error
    if whole == "false":
        assert await aliases_at(registry, place, 9) == {"m": {"champion": "2"}}
    else:
        # As for a record of another form: the operator begins again with a record of all aliases.
        with pytest.raises(InvalidReport, match=run_id):
            await aliases_at(registry, place, 9)


def ms(minute: int) -> int:
    return int((START + minute * MINUTE).timestamp() * 1000)


def operation(place: Place, minute: int, registry_digest: str = "", **more: Any) -> OpsRun:
    tags = {RESOURCE_TAG: place.resource, "featurelineage.io/operation": "apply"}
    if registry_digest:
        tags[REGISTRY_DIGEST_TAG] = registry_digest
    begun = START + minute * MINUTE
    run = OpsRun(unique("op"), place.operations, "apply", begun, begun + MINUTE / 2, "FINISHED")
    return replace(run, tags=tags, **more)


async def test_the_registry_in_force_is_found(registry: MLflowRegistry, place: Place) -> None:
    runs = [operation(place, n, digest) for n, digest in enumerate(["a", "", "a", "b", "b", "a"])]
    runs.append(operation(place, 6, "c", status="FAILED"))
    for run in runs:
        await registry.record(run)

    async def at(minute: float) -> tuple[str, datetime, str] | None:
        found = await registry.registry_at(place, START + minute * MINUTE)
        return (found.digest, found.since, found.operation) if found is not None else None

    ended = [run.ended_at for run in runs]
    assert await at(0.2) is None
    assert await at(2.9) == ("a", ended[0], runs[0].operation_id)
    assert await at(4.9) == ("b", ended[3], runs[3].operation_id)
    assert await at(99) == ("a", ended[5], runs[5].operation_id)
    seen = await registry.registry_at(place, START + 4.9 * MINUTE)
    assert seen is not None
    assert seen.seen_until == ended[4]


async def test_operations_at_a_time(registry: MLflowRegistry, place: Place) -> None:
    long = operation(place, 1, ended_at=START + 9 * MINUTE)
    others = [operation(place, 0), operation(place, 2)]
    for run in (long, *others):
        await registry.record(run)

    found = await registry.operations_at(place, START + 4 * MINUTE)

    assert [each.operation for each in found] == [others[1].operation_id, long.operation_id]
    assert await registry.operations_at(place, START - MINUTE) == ()


async def test_a_thousand_entries_are_read_in_pages(
    registry: MLflowRegistry,
    client: MLflowClient,
    place: Place,
    writer: Writer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(history_reader, "PAGE", 90)
    await writer.write({"m": {"champion": "0"}})
    experiment, _ = await client.experiment(place.aliases)
    runs = []
    for n in range(1, 1000):
        change = writer.change({"m": {"champion": str(n)}}, {})
        writer.state = change.state
        runs.append(alias_run(change, "p", place.resource, place.aliases))
    for n in range(0, len(runs), 20):
        await asyncio.gather(
            *(
                # One request for each, in place of the seven of a record.
                client.create_run(
                    experiment,
                    run.name,
                    milliseconds(run.started_at),
                    {**run.tags, OPERATION_ID_TAG: run.operation_id, RECORDED_TAG: "true"},
                )
                for run in runs[n : n + 20]
            )
        )

    whole = await entries(registry, place)
    moved = [entry.moves[0].after for entry in whole[1:] if isinstance(entry, AliasRecord)]
    assert moved == [str(n) for n in range(1, 1000)]
    part = await entries(registry, place, since=START + 100 * MINUTE, until=START + 300 * MINUTE)
    assert part == whole[100:301]
    assert await entries(registry, place, after=cursor_of(whole[500])) == whole[501:]
    assert await aliases_at(registry, place, 777.5) == {"m": {"champion": "777"}}


async def test_entries_of_the_same_moment_are_told_apart(
    registry: MLflowRegistry, place: Place
) -> None:
    for _ in range(3):
        await registry.record(operation(place, 0))
    whole = await entries(registry, place)

    rest = [await entries(registry, place, after=cursor_of(each)) for each in whole]

    assert rest == [whole[1:], whole[2:], []]
    assert all(isinstance(entry, PastOperation) for entry in whole)
