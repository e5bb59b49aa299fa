"""``feature-lineage impact``: which model versions a feature, view or service reaches."""

import asyncio
import json
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import click

from feature_lineage.api import FeatureStoreProject
from feature_lineage.cli.text import print_table
from feature_lineage.decide.facts import key_of
from feature_lineage.errors import InvalidManifest, ServerUnavailable
from feature_lineage.features.refs import FeatureRef
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.local.console import PlainConsole, short
from feature_lineage.local.host import LocalHost
from feature_lineage.models.index import Page, Reach, ReverseIndex, build
from feature_lineage.reconcile.cache import ReconcileCache
from feature_lineage.reconcile.observe_project import observe_project

SERVICE = "service/"


@dataclass(frozen=True)
class Answer:
    """One project's answer: a page of it, and what it sums up to."""

    project: FeatureStoreProject
    page: Page
    promoted: int
    services: tuple[str, ...]


def run_impact(
    folder: Path, name: str, state: Path, *, limit: int, after: str | None, output: str
) -> None:
    """Print which model versions of the folder's projects use `name`."""
    answers = asyncio.run(_answers(folder, name, state, limit=limit, after=after))
    if output == "json":
        click.echo(json.dumps([_as_json(answer) for answer in answers], indent=2))
        return
    for answer in answers:
        _print(answer, name)


async def _answers(
    folder: Path, name: str, state: Path, *, limit: int, after: str | None
) -> list[Answer]:
    host = LocalHost(folder, state, PlainConsole())
    try:
        host.load(keep=False)
        projects = [project for project in host.resources.projects() if project.spec.mlflow]
        if not projects:
            raise InvalidManifest(
                f"{folder} holds no FeatureStoreProject with spec.mlflow; nobody knows its models"
            )
        answers = []
        for project in sorted(projects, key=lambda item: str(key_of(item))):
            index, snapshot = await _index(host, project)
            reach = _reach(index, name)
            if not len(reach):
                _check_name(project, snapshot, name)
            page = reach.page(after, limit)
            answers.append(Answer(project, page, reach.promoted, reach.services))
        return answers
    finally:
        await host.close()


async def _index(
    host: LocalHost, project: FeatureStoreProject
) -> tuple[ReverseIndex, RegistrySnapshot | None]:
    observed = await observe_project(host.ports, ReconcileCache(), project, planning=True)
    models = observed.models
    if models is None or models.read_at is None or models.failure is not None:
        why = models.failure.message if models and models.failure else "MLflow was not read"
        raise ServerUnavailable(f"{short(key_of(project))}: {why}")
    pairs = ((item.version, item.link) for item in models.linked)
    return build(pairs, observed.snapshot), observed.snapshot


def _check_name(project: FeatureStoreProject, snapshot: RegistrySnapshot | None, name: str) -> None:
    """Nothing uses it, or there is no such thing: a typo must not read as safe to change.

    Raises:
        InvalidManifest: neither the registry nor a model knows the name.
    """
    if snapshot is None:
        return
    views = {view: spec for _, view, spec in snapshot.views()}
    known = {f"{SERVICE}{service}" for service in snapshot.objects.get("feature_service", {})}
    known |= set(views)
    known |= {
        f"{view}:{f['name']}" for view, spec in views.items() for f in spec.get("features", ())
    }
    if name not in known:
        near = get_close_matches(name, sorted(known), 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise InvalidManifest(
            f"the registry of {short(key_of(project))} has no {name}, and no model uses it{hint}"
        )


def _reach(index: ReverseIndex, name: str) -> Reach:
    if name.startswith(SERVICE):
        return index.impact_of_service(name.removeprefix(SERVICE))
    if ":" in name:
        return index.impact_of_feature(FeatureRef.parse(name))
    return index.impact_of_view(name)


def _print(answer: Answer, name: str) -> None:
    page = answer.page
    head = f"{short(key_of(answer.project))}  {name} reaches {page.total} model version(s)"
    click.secho(f"{head}, {answer.promoted} of them with an alias", bold=True)
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
    if page.after is not None:
        click.echo(f"  more: --after {page.after}")


def _as_json(answer: Answer) -> dict[str, object]:
    return {
        "resource": str(key_of(answer.project)),
        "total": answer.page.total,
        "promoted": answer.promoted,
        "services": answer.services,
        "after": answer.page.after,
        "items": [
            {
                "model": item.model,
                "version": item.version,
                "aliases": item.aliases,
                "service": item.service,
                "features": [str(ref) for ref in item.features],
            }
            for item in answer.page.items
        ],
    }
