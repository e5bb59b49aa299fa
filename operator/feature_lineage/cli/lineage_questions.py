"""Commands that ask about lineage: graph, features, versions, search, unused."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from feature_lineage.cli.asking import ask, print_json, print_unknown
from feature_lineage.cli.graph_formats import FORMATS
from feature_lineage.cli.history_output import time_text
from feature_lineage.cli.text import print_table
from feature_lineage.lineage.answers import (
    AsOf,
    Features,
    NodeAnswer,
    SearchPage,
    UnusedPage,
    VersionAnswer,
    VersionsPage,
)
from feature_lineage.shorten import visible


def run_graph(
    folder: Path,
    state: Path,
    name: str | None,
    *,
    up: int | None,
    down: int | None,
    at: datetime | None,
    features: bool,
    output: str,
) -> None:
    """Print what an object of the lineage depends on and what depends on it."""
    answers = ask(
        folder,
        state,
        at,
        lambda lineage: lineage.around(name, up=up, down=down, features=features),
    )
    if output == "json":
        print_json(answers)
        return
    for graph in answers:
        _print_head(graph.resource, graph.as_of, output)
        click.echo(FORMATS[output](graph))


def run_features(folder: Path, state: Path, name: str, *, at: datetime | None, output: str) -> None:
    """Print the features of a model version."""
    answers = ask(folder, state, at, lambda lineage: lineage.features(name))
    found = [each for answer in answers for each in answer]
    if output == "json":
        print_json(found)
        return
    for each in found:
        _print_features(each)


def run_versions(
    folder: Path,
    state: Path,
    model: str | None,
    *,
    at: datetime | None,
    after: str | None,
    limit: int,
    output: str,
) -> None:
    """Print all versions of the models that name a project."""
    pages = ask(
        folder, state, at, lambda lineage: lineage.versions(model, after=after, limit=limit)
    )
    if output == "json":
        print_json(pages)
        return
    for page in pages:
        _print_head(page.resource, page.as_of, "text", f"{page.total} versions")
        _print_rows(
            ["MODEL", "VERSION", "ALIASES", "VERDICT", "FRESH", "SERVES", "SERVICE", "FEATURES"],
            map(_version_row, page.items),
        )
        _print_more(page)


def run_search(
    folder: Path,
    state: Path,
    text: str,
    *,
    at: datetime | None,
    after: int,
    limit: int,
    output: str,
) -> None:
    """Print the objects whose name contains a text."""
    pages = ask(folder, state, at, lambda lineage: lineage.search(text, after=after, limit=limit))
    if output == "json":
        print_json(pages)
        return
    for page in pages:
        _print_head(page.resource, page.as_of, "text", f"{page.total} objects")
        _print_rows(["KIND", "NAME", "STATE"], map(_node_row, page.items))
        _print_more(page)


def run_unused(
    folder: Path, state: Path, *, days: timedelta, after: int, limit: int, output: str
) -> None:
    """Print views and features that no model version has used for some time."""
    since = datetime.now(UTC) - days
    pages = ask(folder, state, None, lambda line: line.unused(since, after=after, limit=limit))
    if output == "json":
        print_json(pages)
        return
    for page in pages:
        _print_head(page.resource, page.as_of, "text", f"{page.total} views and features")
        rows = (
            [each.kind, each.name, time_text(each.last_used_at) if each.last_used_at else "never"]
            for each in page.items
        )
        _print_rows(["KIND", "NAME", "LAST USED"], rows)
        print_unknown(page.unknown)
        _print_more(page)


def _print_head(resource: str, as_of: AsOf, output: str, what: str = "") -> None:
    """The project and the age of the facts; beside a graph for another program, on stderr."""
    parts = [what, f"as of {time_text(as_of.at)}" if as_of.at else ""]
    if as_of.gone_since:
        parts.append(f"deleted, or not of the project any more: {', '.join(as_of.gone_since)}")
    head = "  ".join([resource, *(part for part in parts if part)])
    click.secho(visible(head), bold=True, err=output != "text")


def _print_features(answer: Features) -> None:
    version = answer.version
    aliases = f" ({', '.join(version.aliases)})" if version.aliases else ""
    head = f"{answer.resource}  {version.model}/{version.version}{aliases}"
    click.secho(visible(head), bold=True)
    lines = [
        f"  verdict   {version.verdict or 'Unknown'} ({version.reason or 'not judged'})",
        *([f"            {version.message}"] if version.message else []),
        f"  service   {version.service or '-'}",
        f"  from      {version.origin or '-'}",
        f"  features  {version.features}{'' if answer.complete else ', not all are known'}",
        *(f"    {ref}" for ref in answer.refs),
    ]
    click.echo("\n".join(map(visible, lines)))


def _print_rows(head: list[str], rows: Iterable[list[str]]) -> None:
    indented = [[f"  {first}", *rest] for first, *rest in rows]
    if indented:
        print_table([[f"  {head[0]}", *head[1:]], *indented])


def _print_more(page: VersionsPage | SearchPage | UnusedPage) -> None:
    if page.after is not None:
        click.echo(f"  more: --after {visible(str(page.after))}")


def _version_row(item: VersionAnswer) -> list[str]:
    verdict = str(item.verdict or "Unknown")
    if item.reason and item.reason != verdict:
        verdict = f"{verdict} ({item.reason})"
    return [
        item.model,
        item.version,
        ",".join(item.aliases),
        verdict,
        _yes_no(item.fresh),
        _yes_no(item.serves),
        item.service or "",
        str(item.features),
    ]


def _node_row(node: NodeAnswer) -> list[str]:
    state = "" if node.defined else "not in the registry"
    return [node.kind, node.name, node.verdict or state]


def _yes_no(value: bool | None) -> str:
    return "" if value is None else "yes" if value else "no"
