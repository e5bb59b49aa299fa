"""``feature-lineage impact``: which models and protected services use a feature or view."""

from datetime import datetime
from pathlib import Path

import click

from feature_lineage.cli.asking import ask, print_json, print_unknown
from feature_lineage.cli.text import print_table
from feature_lineage.lineage.answers import ImpactAnswer
from feature_lineage.shorten import visible


def run_impact(
    folder: Path,
    name: str,
    state: Path,
    *,
    at: datetime | None,
    limit: int,
    after: str | None,
    output: str,
) -> None:
    """Print which model versions and protected services of the folder's projects use `name`."""
    answers = ask(folder, state, at, lambda line: line.impact(name, after=after, limit=limit))
    if output == "json":
        print_json(answers)
        return
    for answer in answers:
        _print(answer, name)


def _print(answer: ImpactAnswer, name: str) -> None:
    head = f"{answer.resource}  {name} reaches {answer.total} model version(s)"
    click.secho(visible(f"{head}, {answer.promoted} of them with an alias"), bold=True)
    if answer.items:
        rows = [
            [
                f"  {item.model}",
                item.version,
                ",".join(item.aliases),
                item.service,
                ",".join(item.features),
            ]
            for item in answer.items
        ]
        print_table([["  MODEL", "VERSION", "ALIASES", "SERVICE", "FEATURES"], *rows])
    if answer.protected_services:
        names = ", ".join(answer.protected_services)
        click.echo(visible(f"  protected feature services: {names}"))
    print_unknown(answer.unknown)
    if answer.after is not None:
        click.echo(f"  more: --after {visible(answer.after)}")
