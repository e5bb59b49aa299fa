"""``feature-lineage plan``: the pull-request check."""

import asyncio
import json
import signal
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from feature_lineage.cli.plan_text import plan_lines, summary
from feature_lineage.local.console import PlainConsole, short
from feature_lineage.local.host import LocalHost
from feature_lineage.local.plans import Planned, plan_folder
from feature_lineage.operations.explain import explain, short_revision
from feature_lineage.operations.plan import PlanVerdict
from feature_lineage.operations.plan import short as short_digest
from feature_lineage.shorten import visible, visible_lines

NOT_MADE = 1
BLOCKED = 3
AFFECTS_MODELS = 4


def run_plan(folder: Path, state: Path, output: str, *, detailed: bool = False) -> int:
    """Plan every project of a folder, print it, and return the exit code.

    Args:
        detailed: whether a plan that is not blocked but affects protected models ends with
            `AFFECTS_MODELS` in place of 0.
    """
    try:
        results = asyncio.run(_plans(folder, state))
    except asyncio.CancelledError:  # by a signal
        raise KeyboardInterrupt from None
    if output == "json":
        click.echo(json.dumps([_as_json(result) for result in results], indent=2))
    else:
        for index, result in enumerate(results):
            if index:
                click.echo()
            _print(result)
    plans = [result.plan for result in results if not result.removed]
    if any(plan is not None and plan.verdict is PlanVerdict.BLOCKED for plan in plans):
        return BLOCKED
    if None in plans:
        return NOT_MADE
    affects = any(plan is not None and plan.impacts for plan in plans)
    return AFFECTS_MODELS if detailed and affects else 0


async def _plans(folder: Path, state: Path) -> list[Planned]:
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None
    for sign in (signal.SIGTERM, signal.SIGHUP):  # a cancelled CI job, `timeout`, a lost terminal
        if signal.getsignal(sign) is not signal.SIG_IGN:  # as under nohup
            loop.add_signal_handler(sign, task.cancel)
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
        "verdict": str(plan.verdict) if plan else "Removed" if result.removed else "Failed",
        "message": explain(plan, result.revision, overrides=result.overrides, planning=True)
        if plan
        else result.problem,
    }
    if plan is not None:
        value["summary"] = summary(plan)
        value |= {key: item for key, item in asdict(plan).items() if key != "verdict"}
    value["warnings"] = [asdict(warning) for warning in result.warnings]
    return value


def _print(result: Planned) -> None:
    plan = result.plan
    revision = f"  revision {short_revision(result.revision)}" if result.revision else ""
    head = f"{short(result.key)}{revision}"
    if plan is None:
        click.secho(f"{head}  {'removed' if result.removed else 'could not be planned'}", bold=True)
        click.echo(visible_lines(f"  {result.problem}".replace("\n", "\n  ")))
        return
    click.secho(f"{head}  plan {short_digest(plan.digest)}  {plan.verdict}", bold=True)
    for line in plan_lines(plan):
        text = visible(f"  {line.text}".rstrip(), keep="\t")
        click.secho(text, fg=line.color or None, bold=line.bold)
    for warning in result.warnings:
        click.secho(visible(f"  warning: {warning.reason}: {warning.message}"), fg="yellow")
    message = explain(plan, result.revision, overrides=result.overrides, planning=True)
    if message:
        click.echo()
        click.secho(visible(f"  {message}"), fg="red")
