"""``feature-lineage history``: aliases, registry and operations of the past, as MLflow has them."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
from pydantic import TypeAdapter, ValidationError

from feature_lineage.api import FeatureStoreProject
from feature_lineage.api.types import Duration
from feature_lineage.cli.history_output import (
    Moment,
    entry_json,
    entry_rows,
    moment_json,
    print_moment,
    time_text,
)
from feature_lineage.cli.text import print_table
from feature_lineage.decide.facts import key_of
from feature_lineage.errors import InvalidManifest, TerminalError, WaitingError
from feature_lineage.local.console import PlainConsole, short
from feature_lineage.local.host import LocalHost
from feature_lineage.operations.past import FIRST, Entry
from feature_lineage.ports import ModelRegistry
from feature_lineage.reconcile.alias_log import place_of
from feature_lineage.tracking.history_reader import cursor_of

_Answer = TypeVar("_Answer")
_START = re.compile(r"-?[0-9]{1,19}")


@dataclass(frozen=True)
class Page:
    """Entries of one project; `after` continues, None at the end."""

    entries: tuple[Entry, ...]
    after: str | None


def parsed_time(text: str) -> datetime:
    """A time such as ``2026-11-30T12:00:00Z``, or a duration before now such as ``36h``.

    A time without a zone is in UTC.

    Raises:
        click.BadParameter: it is neither.
    """
    try:
        return datetime.now(UTC) - TypeAdapter(Duration).validate_python(text)
    except (ValidationError, ValueError, OverflowError):
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is neither a time (2026-11-30T12:00:00Z) nor a duration before now (36h)"
        ) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def parsed_cursor(text: str | None) -> tuple[int, str]:
    """The entry that ``--after`` names; before the first one without a text.

    Raises:
        click.BadParameter: an earlier answer has no such value.
    """
    if text is None:
        return FIRST
    start, _, run_id = text.partition("/")
    if not _START.fullmatch(start) or not run_id:
        raise click.BadParameter(f"{text!r} is not the value after --after of an earlier answer")
    return int(start), run_id


def run_list(
    folder: Path,
    state: Path,
    names: tuple[str, ...],
    *,
    since: datetime | None,
    until: datetime | None,
    after: tuple[int, str],
    limit: int,
    output: str,
) -> None:
    """Print the entries that began within a time, oldest first."""

    async def read(registry: ModelRegistry, project: FeatureStoreProject) -> Page:
        found: list[Entry] = []
        entries = registry.entries(place_of(project), since=since, until=until, after=after)
        async for entry in entries:
            if len(found) == limit:
                start, run_id = cursor_of(found[-1])
                return Page(tuple(found), f"{start}/{run_id}")
            found.append(entry)
        return Page(tuple(found), None)

    pages = asyncio.run(_each(folder, state, names, read))
    if output == "json":
        _print_json(
            {
                "resource": resource,
                "entries": [entry_json(entry) for entry in page.entries],
                "after": page.after,
            }
            for resource, page in pages.items()
        )
        return
    for resource, page in pages.items():
        click.secho(f"{resource}  {len(page.entries)} entries", bold=True)
        rows = [row for entry in page.entries for row in entry_rows(entry)]
        if rows:
            print_table([["  TIME", "WHAT", "RESULT", "DETAILS"], *rows])
        if page.after is not None:
            click.echo(f"  more: --after {page.after}")


def run_as_of(
    folder: Path, state: Path, names: tuple[str, ...], *, at: datetime, output: str
) -> None:
    """Print the aliases, the registry and the operations at one time."""

    async def read(registry: ModelRegistry, project: FeatureStoreProject) -> Moment:
        place, errors = place_of(project), {}

        async def part(name: str, answer: Awaitable[_Answer]) -> _Answer | None:
            try:
                return await answer
            except (TerminalError, WaitingError) as error:
                errors[name] = error.message
                return None

        aliases = await part("aliases", registry.aliases_at(place, at))
        known = await part("registry", registry.registry_at(place, at))
        operations = await part("operations", registry.operations_at(place, at))
        return Moment(at, aliases, known, operations, errors)

    found = asyncio.run(_each(folder, state, names, read))
    if output == "json":
        _print_json({"resource": key, **moment_json(moment)} for key, moment in found.items())
        return
    for resource, moment in found.items():
        click.secho(f"{resource}  as of {time_text(at)}", bold=True)
        print_moment(moment)


async def _each(
    folder: Path,
    state: Path,
    names: tuple[str, ...],
    read: Callable[[ModelRegistry, FeatureStoreProject], Awaitable[_Answer]],
) -> dict[str, _Answer]:
    """The answer for each project of the folder that names an MLflow server, by resource."""
    host = LocalHost(folder, state, PlainConsole())
    try:
        host.load(keep=False)
        known = {
            short(key_of(project)): project
            for project in host.resources.projects()
            if project.spec.mlflow is not None
        }
        wanted = {
            label: project
            for label, project in sorted(known.items())
            if not names or {label, project.metadata.name} & set(names)
        }
        if not wanted:
            have = ", ".join(known) or "none"
            asked = " ".join(("FeatureStoreProject", ", ".join(names))).strip()
            raise InvalidManifest(
                f"{folder} contains no {asked} with spec.mlflow, where the history is; it has: "
                f"{have}. To read the history of a deleted project, write its manifest into a "
                "folder of its own"
            )
        answers = {}
        for label, project in wanted.items():
            registry = await host.registries.of(project)
            assert registry is not None
            answers[label] = await read(registry, project)
        return answers
    finally:
        await host.close()


def _print_json(documents: Iterator[dict[str, Any]]) -> None:
    click.echo(json.dumps(list(documents), indent=2))
