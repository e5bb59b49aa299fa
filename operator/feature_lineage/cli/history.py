"""``feature-lineage history``: aliases, registry and operations of the past, as MLflow has them."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
from pydantic import TypeAdapter, ValidationError

from feature_lineage.api import FeatureStoreProject
from feature_lineage.api.types import Duration
from feature_lineage.cli.text import print_table
from feature_lineage.decide.facts import key_of
from feature_lineage.errors import InvalidManifest, TerminalError, WaitingError
from feature_lineage.local.console import PlainConsole, short
from feature_lineage.local.host import LocalHost
from feature_lineage.operations.alias_history import AliasMove, AliasRecord, AliasState
from feature_lineage.operations.explain import short_revision
from feature_lineage.operations.past import Entry, RegistryState, Unreadable
from feature_lineage.operations.past_operations import PastOperation, PastView
from feature_lineage.ports import ModelRegistry
from feature_lineage.reconcile.alias_log import place_of
from feature_lineage.tracking.history_reader import cursor_of

_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Page:
    """Entries of one project; `after` continues, None at the end."""

    entries: tuple[Entry, ...]
    after: str | None


@dataclass(frozen=True)
class Moment:
    """A project at one time; None: not known, because nothing that old is recorded.

    Attributes:
        errors: why a part is not known, by name of the part; empty if all could be read.
    """

    at: datetime
    aliases: AliasState | None
    registry: RegistryState | None
    operations: tuple[PastOperation, ...] | None
    errors: Mapping[str, str]


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


def parsed_cursor(text: str) -> tuple[int, str]:
    """The entry that ``--after`` names.

    Raises:
        click.BadParameter: an earlier answer has no such value.
    """
    start, _, run_id = text.partition("/")
    if not start.isascii() or not start.isdigit() or len(start) > 15 or not run_id:
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
                "entries": [_entry_json(entry) for entry in page.entries],
                "after": page.after,
            }
            for resource, page in pages.items()
        )
        return
    for resource, page in pages.items():
        click.secho(f"{resource}  {len(page.entries)} entries", bold=True)
        rows = [row for entry in page.entries for row in _rows(entry)]
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
        _print_json({"resource": key, **_moment_json(moment)} for key, moment in found.items())
        return
    for resource, moment in found.items():
        click.secho(f"{resource}  as of {_z(at)}", bold=True)
        _print_moment(moment)


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
            raise InvalidManifest(
                f"{folder} contains no FeatureStoreProject {', '.join(names)} with spec.mlflow, "
                f"where the history is; it has: {have}"
            )
        answers = {}
        for label, project in wanted.items():
            registry = await host.registries.of(project)
            assert registry is not None
            answers[label] = await read(registry, project)
        return answers
    finally:
        await host.close()


def _rows(entry: Entry) -> Iterator[list[str]]:
    if isinstance(entry, Unreadable):
        yield [f"  {_z(entry.at)}", "unreadable", "", entry.error]
    elif isinstance(entry, AliasRecord):
        if not entry.previous:
            total = sum(map(len, (entry.aliases or {}).values()))
            begins = f"the history of aliases begins, with {total} aliases"
            yield [f"  {_z(entry.at)}", "aliases", "", begins]
        for move in entry.moves:
            yield [f"  {_z(entry.at)}", f"{move.model}@{move.alias}", move.why, _arrow(move)]
    else:
        yield [f"  {_z(entry.started_at)}", entry.kind, entry.result, _operation(entry)]
        for view in entry.views or ():
            yield ["", f"  {view.name}", view.result, _view(view)]
        if entry.views_omitted:
            yield ["", f"  {entry.views_omitted} views", "", f"in views.json of {entry.run_id}"]


def _arrow(move: AliasMove) -> str:
    return f"{move.before or '-'} -> {move.after or '-'}"


def _operation(entry: PastOperation) -> str:
    parts = (
        short_revision(entry.revision) if entry.revision else "",
        f"registry {entry.registry[:12]}" if entry.registry else "",
        f"{entry.reason}: {entry.error}" if entry.error else entry.reason,
    )
    return ", ".join(part for part in parts if part)


def _view(view: PastView) -> str:
    nulls = ", ".join(f"{name} {count}" for name, count in (view.nulls or {}).items())
    parts = (
        f"{view.rows} rows" if view.rows is not None else "",
        f"newest {_z(view.newest_event)}" if view.newest_event is not None else "",
        f"{view.seconds:g} s" if view.seconds is not None else "",
        f"nulls: {nulls}" if nulls else "",
        view.error,
    )
    return ", ".join(part for part in parts if part)


def _print_moment(moment: Moment) -> None:
    registry, aliases, errors = moment.registry, moment.aliases, moment.errors
    if registry is None:
        why = errors.get("registry", "no operation had read it")
        click.echo(f"  Registry: not known: {why}")
    else:
        click.echo(
            f"  Registry: {registry.digest[:12]} since {_z(registry.since)}, last seen "
            f"{_z(registry.seen_until)}, by {registry.operation}"
        )
    if aliases is None:
        why = errors.get("aliases", "no record is that old")
        click.echo(f"  Aliases: not known: {why}")
    else:
        click.echo(f"  Aliases, as observed at {_z(aliases.at)}:")
        named = [
            [f"    {model}", alias, version]
            for model, versions in sorted(aliases.aliases.items())
            for alias, version in sorted(versions.items())
        ]
        print_table([["    MODEL", "ALIAS", "VERSION"], *named])
    if moment.operations is None:
        click.echo(f"  Operations: not known: {errors['operations']}")
    elif moment.operations:
        click.echo("  Operations:")
        rows = [row for operation in moment.operations for row in _rows(operation)]
        print_table([["  STARTED", "WHAT", "RESULT", "DETAILS"], *rows])


def _entry_json(entry: Entry) -> dict[str, Any]:
    if isinstance(entry, Unreadable):
        return {"kind": "Unreadable", "at": _z(entry.at), "run": entry.run_id, "error": entry.error}
    if isinstance(entry, PastOperation):
        return {"kind": "Operation", **_operation_json(entry)}
    return {
        "kind": "Aliases",
        "at": _z(entry.at),
        "run": entry.run_id,
        "record": entry.record,
        "first": not entry.previous,
        "moves": [asdict(move) for move in entry.moves],
        "aliases": entry.aliases,
    }


def _operation_json(entry: PastOperation) -> dict[str, Any]:
    return {
        "at": _z(entry.started_at),
        "endedAt": _z(entry.ended_at),
        "run": entry.run_id,
        "operation": entry.operation,
        "command": entry.kind,
        "result": entry.result,
        "reason": entry.reason,
        "error": entry.error,
        "revision": entry.revision,
        "registry": entry.registry,
        "views": [_view_json(view) for view in entry.views] if entry.views is not None else None,
        "viewsOmitted": entry.views_omitted,
    }


def _view_json(view: PastView) -> dict[str, Any]:
    return {
        "name": view.name,
        "result": view.result,
        "rows": view.rows,
        "newestEvent": _z(view.newest_event) if view.newest_event is not None else None,
        "seconds": view.seconds,
        "nulls": view.nulls,
        "error": view.error,
    }


def _moment_json(moment: Moment) -> dict[str, Any]:
    registry, aliases = moment.registry, moment.aliases
    return {
        "asOf": _z(moment.at),
        "aliases": {"at": _z(aliases.at), "of": aliases.aliases} if aliases is not None else None,
        "registry": {
            "digest": registry.digest,
            "since": _z(registry.since),
            "seenUntil": _z(registry.seen_until),
            "operation": registry.operation,
            "revision": registry.revision,
        }
        if registry is not None
        else None,
        "operations": [_operation_json(each) for each in moment.operations]
        if moment.operations is not None
        else None,
        "errors": dict(moment.errors),
    }


def _print_json(documents: Iterator[dict[str, Any]]) -> None:
    click.echo(json.dumps(list(documents), indent=2))


def _z(moment: datetime) -> str:
    """A time to the millisecond, as MLflow has it."""
    at = moment.astimezone(UTC)
    return at.isoformat(timespec="milliseconds" if at.microsecond else "seconds").replace(
        "+00:00", "Z"
    )
