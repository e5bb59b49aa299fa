"""``feature-lineage impact``: which models and protected services use a feature or view."""

import asyncio
import json
from pathlib import Path

import click

from feature_lineage.cli.text import print_table
from feature_lineage.decide.facts import Key, key_of
from feature_lineage.errors import InvalidManifest
from feature_lineage.lineage.query import LineageQuery
from feature_lineage.local.console import PlainConsole, short
from feature_lineage.local.host import LocalHost
from feature_lineage.models.impact_page import ImpactPage
from feature_lineage.reconcile.cache import ReconcileCache


def run_impact(
    folder: Path, name: str, state: Path, *, limit: int, after: str | None, output: str
) -> None:
    """Print which model versions and protected services of the folder's projects use `name`."""
    pages = asyncio.run(_pages(folder, name, state, limit=limit, after=after))
    if output == "json":
        click.echo(json.dumps([_as_json(key, page) for key, page in pages.items()], indent=2))
        return
    for key, page in pages.items():
        _print(key, page, name)


async def _pages(
    folder: Path, name: str, state: Path, *, limit: int, after: str | None
) -> dict[Key, ImpactPage]:
    host = LocalHost(folder, state, PlainConsole())
    try:
        host.load(keep=False)
        lineage = LineageQuery(host.ports, ReconcileCache())
        projects = [
            project
            for project in host.resources.projects()
            if project.spec.mlflow or await lineage.protects_services(project)
        ]
        if not projects:
            raise InvalidManifest(
                f"{folder} contains no FeatureStoreProject with spec.mlflow, so its models are "
                "unknown, and none that protects feature services; add spec.mlflow"
            )
        pages = {}
        for project in sorted(projects, key=lambda item: str(key_of(item))):
            await lineage.refresh(project)
            pages[key_of(project)] = await lineage.impact(project, name, after=after, limit=limit)
        return pages
    finally:
        await host.close()


def _print(key: Key, page: ImpactPage, name: str) -> None:
    head = f"{short(key)}  {name} reaches {page.total} model version(s)"
    click.secho(f"{head}, {page.promoted} of them with an alias", bold=True)
    if page.items:
        rows = [
            [
                f"  {item.model}",
                item.version,
                ",".join(item.aliases),
                item.service,
                ",".join(map(str, item.features)),
            ]
            for item in page.items
        ]
        print_table([["  MODEL", "VERSION", "ALIASES", "SERVICE", "FEATURES"], *rows])
    if page.protected_services:
        click.echo(f"  protected feature services: {', '.join(page.protected_services)}")
    if page.after is not None:
        click.echo(f"  more: --after {page.after}")


def _as_json(key: Key, page: ImpactPage) -> dict[str, object]:
    return {
        "resource": str(key),
        "total": page.total,
        "promoted": page.promoted,
        "services": page.services,
        "protectedServices": page.protected_services,
        "after": page.after,
        "items": [
            {
                "model": item.model,
                "version": item.version,
                "aliases": item.aliases,
                "service": item.service,
                "features": [str(ref) for ref in item.features],
            }
            for item in page.items
        ],
    }
