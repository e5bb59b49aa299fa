"""``feature-lineage plan``: the pull-request check."""

import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from feature_lineage.features.diff import Change, ChangeClass
from feature_lineage.local.console import PlainConsole, short
from feature_lineage.local.host import LocalHost
from feature_lineage.local.plans import Planned, plan_folder
from feature_lineage.operations.explain import describe, explain, short_revision
from feature_lineage.operations.plan import Plan, PlanVerdict
from feature_lineage.operations.plan import short as short_digest
from feature_lineage.shorten import visible, visible_lines

NOT_MADE = 1
BLOCKED = 3
_MARKS = {ChangeClass.CREATED: ("+", "green"), ChangeClass.DELETED: ("-", "red")}


def run_plan(folder: Path, state: Path, output: str) -> int:
    """Plan every project of a folder, print it, and return the exit code."""
    results = asyncio.run(_plans(folder, state))
    if output == "json":
        click.echo(json.dumps([_as_json(result) for result in results], indent=2))
    else:
        for result in results:
            _print(result)
    plans = [result.plan for result in results]
    if any(plan is not None and plan.verdict is PlanVerdict.BLOCKED for plan in plans):
        return BLOCKED
    return NOT_MADE if None in plans else 0


async def _plans(folder: Path, state: Path) -> list[Planned]:
    host = LocalHost(folder, state, PlainConsole())
    try:
        return await plan_folder(host)
    finally:
        await host.close()


def _as_json(result: Planned) -> dict[str, Any]:
    plan = result.plan
    value: dict[str, Any] = {
        "resource": str(result.key),
        "revision": result.revision,
        "verdict": str(plan.verdict) if plan else "Failed",
        "message": explain(plan, result.revision, overrides=result.overrides)
        if plan
        else result.problem,
    }
    if plan is not None:
        value |= {key: item for key, item in asdict(plan).items() if key != "verdict"}
        value["warnings"] = result.warnings
    return value


def _print(result: Planned) -> None:
    plan = result.plan
    revision = f"  revision {short_revision(result.revision)}" if result.revision else ""
    head = f"{short(result.key)}{revision}"
    if plan is None:
        click.secho(f"{head}  could not be planned", bold=True)
        click.echo(visible_lines(f"  {result.problem}".replace("\n", "\n  ")))
        return
    click.secho(f"{head}  plan {short_digest(plan.digest)}  {plan.verdict}", bold=True)
    if not plan.changes:
        click.echo("  No changes: the registry matches the repository.")
    for line, color in _changes(plan.changes):
        click.secho(visible(f"  {line}"), fg=color)
    _print_impacts(plan)
    for warning in result.warnings:
        click.secho(visible(f"  warning: {warning}"), fg="yellow")
    message = explain(plan, result.revision, overrides=result.overrides)
    if message:
        click.echo()
        click.secho(visible(f"  {message}"), fg="red")


def _changes(changes: Iterable[Change]) -> Iterable[tuple[str, str | None]]:
    for change in changes:
        mark, color = _MARKS.get(change.change, ("~", "yellow"))
        subject = f"{change.name}:{change.feature}" if change.feature else change.name
        arrow = ""
        if change.was and change.now:
            arrow = f"  {change.was} → {change.now}"
        elif change.was or change.now:
            arrow = f"  {change.was or change.now}"
        yield f"{mark} {change.kind} {subject}  {change.change}{arrow}", color


def _print_impacts(plan: Plan) -> None:
    if plan.impacts:
        click.echo()
        click.secho(f"  Would affect {len(plan.impacts)} protected model version(s):", bold=True)
    for impact in plan.impacts:
        aliases = ", ".join(f"@{alias}" for alias in impact.aliases)
        subject = f"{impact.model} v{impact.version} ({aliases})"
        click.echo(f"    {visible(subject)}  {impact.severity}")
        for problem in impact.problems[:10]:
            click.echo(visible(f"      {describe(problem)}"))
    _print_names("Features not known", plan.unknown_models)
    _print_names("Would delete what others applied", plan.adoption_deletes)
    _print_names("Drops online data of", plan.online_tables_dropped)


def _print_names(title: str, names: Sequence[str]) -> None:
    if names:
        click.echo(f"  {title}: {visible(', '.join(names[:10]))}")
