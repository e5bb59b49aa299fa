"""Asks the lineage of each project of a folder."""

import asyncio
import json
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import click

from feature_lineage.decide.facts import key_of
from feature_lineage.errors import InvalidManifest, NotFound
from feature_lineage.lineage.answers import Answer, UnknownVersions
from feature_lineage.lineage.project_lineage import ProjectLineage
from feature_lineage.lineage.query import LineageQuery
from feature_lineage.local.console import PlainConsole, short
from feature_lineage.local.host import LocalHost
from feature_lineage.reconcile.cache import ReconcileCache
from feature_lineage.shorten import visible

_Answer = TypeVar("_Answer")


def ask(
    folder: Path,
    state: Path,
    at: datetime | None,
    question: Callable[[ProjectLineage], _Answer],
) -> list[_Answer]:
    """The answers of the folder's projects, by namespace and name.

    Args:
        at: the time in the past that the question is about; None: now.

    Raises:
        NotFound: no project has the named object.
    """
    return asyncio.run(_asked(folder, state, at, question))


async def _asked(
    folder: Path,
    state: Path,
    at: datetime | None,
    question: Callable[[ProjectLineage], _Answer],
) -> list[_Answer]:
    host = LocalHost(folder, state, PlainConsole())
    try:
        host.load(keep=False)
        query = LineageQuery(host.ports, ReconcileCache())
        projects = sorted(host.resources.projects(), key=lambda project: str(key_of(project)))
        if not projects:
            raise InvalidManifest(f"{folder} contains no FeatureStoreProject; add its manifest")
        answers: list[_Answer] = []
        missing: list[NotFound] = []
        for project in projects:
            if project.spec.mlflow is None:
                name = short(key_of(project))
                click.echo(f"{name}: its models are unknown; set spec.mlflow", err=True)
            await query.refresh(project)
            try:
                lineage = (
                    await query.lineage(project)
                    if at is None
                    else await query.past_lineage(project, at)
                )
                answers.append(question(lineage))
            except NotFound as error:
                missing.append(error)
        if missing and not answers:
            raise missing[0]
        return answers
    finally:
        await host.close()


def print_json(answers: Iterable[Answer]) -> None:
    """Print the answers as one list."""
    click.echo(json.dumps([answer.as_dict() for answer in answers], indent=2))


def print_unknown(unknown: UnknownVersions | None) -> None:
    """Say which versions may use what an answer is about, though it does not name them."""
    if unknown is not None:
        more = f" and {unknown.total - len(unknown.first)} more"
        names = ", ".join(unknown.first) + (more if unknown.total > len(unknown.first) else "")
        text = f"  not known: all features of {unknown.total} version(s), which may use it: {names}"
        click.secho(visible(text), fg="yellow")
