"""How the history of a project is shown: rows of a table, or JSON."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import click

from feature_lineage.cli.text import print_table
from feature_lineage.operations.alias_history import AliasMove, AliasRecord, AliasState, count
from feature_lineage.operations.explain import short_revision
from feature_lineage.operations.past import Entry, RegistryState, Unreadable
from feature_lineage.operations.past_operations import PastOperation, PastView


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


def entry_rows(entry: Entry) -> Iterator[list[str]]:
    """The rows of one entry: time, what, result, details."""
    if isinstance(entry, Unreadable):
        yield [f"  {time_text(entry.at)}", "unreadable", "", entry.error]
    elif isinstance(entry, AliasRecord):
        if not entry.previous:
            total = count(entry.aliases or {})
            begins = f"the history of aliases begins; aliases: {total}"
            yield [f"  {time_text(entry.at)}", "aliases", "", begins]
        for move in entry.moves:
            yield [f"  {time_text(entry.at)}", f"{move.model}@{move.alias}", move.why, _arrow(move)]
    else:
        yield [f"  {time_text(entry.started_at)}", entry.kind, entry.result, _operation(entry)]
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
    nulls = ", ".join(f"{name} {rows}" for name, rows in (view.nulls or {}).items())
    parts = (
        f"{view.rows} rows" if view.rows is not None else "",
        f"newest {time_text(view.newest_event)}" if view.newest_event is not None else "",
        f"{view.seconds:g} s" if view.seconds is not None else "",
        f"nulls: {nulls}" if nulls else "",
        view.error,
    )
    return ", ".join(part for part in parts if part)


def print_moment(moment: Moment) -> None:
    """Print a project at one time; a part that is not known with the reason."""
    registry, aliases, errors = moment.registry, moment.aliases, moment.errors
    if registry is None:
        why = errors.get("registry", "no operation had read it")
        click.echo(f"  Registry: not known: {why}")
    else:
        click.echo(
            f"  Registry: {registry.digest[:12]} since {time_text(registry.since)}, last seen "
            f"{time_text(registry.seen_until)}, by {registry.operation}"
        )
    if aliases is None:
        why = errors.get("aliases", "no record is that old")
        click.echo(f"  Aliases: not known: {why}")
    else:
        click.echo(f"  Aliases, as observed at {time_text(aliases.at)}:")
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
        rows = [row for operation in moment.operations for row in entry_rows(operation)]
        print_table([["  STARTED", "WHAT", "RESULT", "DETAILS"], *rows])


def entry_json(entry: Entry) -> dict[str, Any]:
    """One entry; `kind` is Operation, Aliases or Unreadable."""
    if isinstance(entry, Unreadable):
        return {
            "kind": "Unreadable",
            "at": time_text(entry.at),
            "run": entry.run_id,
            "error": entry.error,
        }
    if isinstance(entry, PastOperation):
        return {"kind": "Operation", **_operation_json(entry)}
    return {
        "kind": "Aliases",
        "at": time_text(entry.at),
        "run": entry.run_id,
        "record": entry.record,
        "first": not entry.previous,
        "moves": [asdict(move) for move in entry.moves],
        "aliases": entry.aliases,
    }


def _operation_json(entry: PastOperation) -> dict[str, Any]:
    return {
        "at": time_text(entry.started_at),
        "endedAt": time_text(entry.ended_at),
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
        "newestEvent": time_text(view.newest_event) if view.newest_event is not None else None,
        "seconds": view.seconds,
        "nulls": view.nulls,
        "error": view.error,
    }


def moment_json(moment: Moment) -> dict[str, Any]:
    """A project at one time; a part that is not known is null, with its error if there is one."""
    registry, aliases = moment.registry, moment.aliases
    return {
        "asOf": time_text(moment.at),
        "aliases": {"at": time_text(aliases.at), "of": aliases.aliases}
        if aliases is not None
        else None,
        "registry": {
            "digest": registry.digest,
            "since": time_text(registry.since),
            "seenUntil": time_text(registry.seen_until),
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


def time_text(moment: datetime) -> str:
    """A time to the millisecond, as MLflow has it."""
    at = moment.astimezone(UTC)
    return at.isoformat(timespec="milliseconds" if at.microsecond else "seconds").replace(
        "+00:00", "Z"
    )
