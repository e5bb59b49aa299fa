"""``get`` and ``describe``: print the resources of a folder in the format of kubectl."""

import json
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import yaml

from feature_lineage.api.crd import DEFINITIONS, Column
from feature_lineage.cli.text import print_table
from feature_lineage.decide.facts import Key, Resource, key_of
from feature_lineage.errors import InvalidManifest
from feature_lineage.local.console import short
from feature_lineage.local.event_log import read_events
from feature_lineage.local.folder import LocalResources, read_folder
from feature_lineage.local.state_folder import StateFolder
from feature_lineage.operations.explain import short_revision
from feature_lineage.shorten import visible_lines

_CONDITION = re.compile(r'\.status\.conditions\[\?\(@\.type==[\'"](\w+)[\'"]\)\]\.(\w+)')


def load(folder: Path, state: Path) -> tuple[list[Resource], StateFolder]:
    """Every resource of a folder with its status, without a lock and without a write."""
    kept = StateFolder(state)
    resources = LocalResources(kept)
    resources.load(read_folder(folder, kept.root), datetime.now(UTC), keep=False)
    found = [resources.get(key) for key in resources.all_keys()]
    return [resource for resource in found if resource is not None], kept


def run_get(folder: Path, state: Path, output: str) -> None:
    """Print all resources."""
    resources, _ = load(folder, state)
    if output == "json":
        click.echo(json.dumps([item.as_dict() for item in resources], indent=2))
    elif output == "yaml":
        items = [item.as_dict() for item in resources]
        click.echo(yaml.safe_dump_all(items, sort_keys=False, allow_unicode=True), nl=False)
    else:
        _tables(resources)


def _tables(resources: Sequence[Resource]) -> None:
    now = datetime.now(UTC)
    first = True
    for definition in DEFINITIONS:
        rows = [item for item in resources if item.kind == definition.kind]
        if not rows:
            continue
        if not first:
            click.echo()
        first = False
        namespaced = len({item.metadata.namespace for item in resources}) > 1
        header = ["NAMESPACE"] * namespaced + [
            "NAME",
            *(c.name.upper() for c in definition.columns),
        ]
        table = [
            [item.metadata.namespace] * namespaced
            + [item.metadata.name, *(_cell(item, column, now) for column in definition.columns)]
            for item in rows
        ]
        print_table([header, *table])
    if first:
        click.echo("No resources found.")


def _cell(resource: Resource, column: Column, now: datetime) -> str:
    value = _value(resource.as_dict(), column.path)
    if value is None:
        return ""
    if column.type == "date":
        return age(now - datetime.fromisoformat(str(value)))
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return short_revision(text) if column.name == "Revision" else text


def _value(resource: dict[str, Any], path: str) -> Any:
    """The JSONPath forms that printer columns use: a plain path, and a condition's field."""
    match = _CONDITION.fullmatch(path)
    if match is not None:
        conditions = resource.get("status", {}).get("conditions", [])
        found: dict[str, Any] = next((item for item in conditions if item["type"] == match[1]), {})
        return found.get(match[2])
    value: Any = resource
    for part in path.removeprefix(".").split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def age(delta: timedelta) -> str:
    """As kubectl prints an age: ``45s``, ``12m``, ``5h``, ``3d``."""
    seconds = max(0, int(delta.total_seconds()))
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def run_describe(folder: Path, names: Sequence[str], state: Path) -> None:
    """Print details of the named resources, or of all.

    Raises:
        InvalidManifest: no resource has that name.
    """
    resources, kept = load(folder, state)
    chosen = list(_chosen(resources, names))
    for index, resource in enumerate(chosen):
        if index:
            click.echo("\n---\n")
        _describe(resource, kept)


def _chosen(resources: Sequence[Resource], names: Sequence[str]) -> Iterable[Resource]:
    if not names:
        return resources
    found = [
        item
        for item in resources
        if {item.metadata.name, short(key_of(item)), str(key_of(item))} & set(names)
    ]
    missing = [
        name
        for name in names
        if not any(
            name in (item.metadata.name, short(key_of(item)), str(key_of(item))) for item in found
        )
    ]
    if missing:
        have = ", ".join(short(key_of(item)) for item in resources) or "nothing"
        raise InvalidManifest(f"there is no {', '.join(missing)}; the folder has: {have}")
    return found


def _describe(resource: Resource, state: StateFolder) -> None:
    value = resource.as_dict()
    key = key_of(resource)
    click.secho(f"{resource.kind} {key.namespace}/{key.name}", bold=True)
    status = value.get("status", {})
    _conditions(status.pop("conditions", []))
    operations = status.pop("operations", [])
    _section("Status", status)
    if operations:
        click.echo("Operations:")
        header = ["  ID", "RESULT", "REVISION", "STARTED", "MLFLOW RUN", "MESSAGE"]
        rows = [[f"  {op['id']}", *_operation(op)] for op in operations]
        print_table([header, *rows])
    _events(state, key)


def _operation(operation: dict[str, Any]) -> list[str]:
    revision = operation.get("revision")
    failed = operation.get("result") in ("Failed", "Blocked")
    message = operation.get("message", "") if failed else ""
    return [
        operation.get("result", ""),
        short_revision(revision) if revision else "",
        operation.get("startedAt", ""),
        operation.get("mlflowRunId", "")[:12],
        message.split("\n")[0][:100],
    ]


def _conditions(conditions: list[dict[str, Any]]) -> None:
    click.echo("Conditions:")
    if not conditions:
        click.echo("  none yet: run `feature-lineage local DIR --once`")
        return
    header = ["  TYPE", "STATUS", "REASON", "SINCE", "MESSAGE"]
    rows = [
        [f"  {c['type']}", c["status"], c["reason"], c["lastTransitionTime"], c.get("message", "")]
        for c in conditions
    ]
    print_table([header, *rows])


def _section(title: str, value: dict[str, Any]) -> None:
    if not value:
        return
    click.echo(f"{title}:")
    text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)
    lines = visible_lines(text).split("\n")
    click.echo("".join(f"  {line}\n" for line in lines if line), nl=False)


def _events(state: StateFolder, key: Key) -> None:
    events = read_events(state, key)[-20:]
    if not events:
        return
    click.echo("Events:")
    header = ["  TIME", "TYPE", "REASON", "MESSAGE"]
    rows = [
        [f"  {e['at'][:19]}Z", e["type"], e["reason"], e["message"].split("\n")[0][:300]]
        for e in events
    ]
    print_table([header, *rows])
