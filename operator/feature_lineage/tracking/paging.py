"""Reads the model registry page by page, in full or only the changes.

MLflow pages by offset: a deletion between two pages shifts the rest and hides one entry. And MLflow
does not change ``last_updated_timestamp`` with tags, aliases or deletions. Therefore there are two
ways to read:

* `read_all`: every model and version. Where there are several pages, an entry that is missing
counts as
  deleted only if a second reading misses it, too.
* `read_changes`: every model (the only list with aliases) and the newest versions, down to known
  ones. Tags of older versions are up to date only after the next `read_all`.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from feature_lineage.errors import RequestRejected
from feature_lineage.models.facts import ModelVersion
from feature_lineage.tracking.cache_budget import (
    count_kept,
    memory_of_model,
    memory_of_version,
)
from feature_lineage.tracking.client import MLflowClient, quoted
from feature_lineage.tracking.page_walk import AskPage, pages
from feature_lineage.tracking.parsing import RegisteredModel, VersionRow

MODELS_PAGE: Final = 1000
VERSIONS_PAGE: Final = 2500
CHANGES_PAGE: Final = 200
BY_NAME: Final = ("name ASC", "version_number ASC")
BY_LAST_UPDATE: Final = ("last_updated_timestamp DESC", "name ASC", "version_number DESC")

Models = Mapping[str, RegisteredModel]
Versions = Mapping[str, Mapping[str, ModelVersion]]


@dataclass(frozen=True, slots=True)
class RegistryListing:
    """The registry as MLflow lists it: versions without aliases, and models with aliases.

    Attributes:
        read_at: when the last full reading began.
        models: registered models by name.
        versions: by model, then version; without aliases, with the run that MLflow names.
        newest_ms: the newest ``last_updated_timestamp``, in milliseconds since 1970.
    """

    read_at: datetime
    models: Models
    versions: Versions
    newest_ms: int


async def read_all(
    client: MLflowClient, began: datetime, before: RegistryListing | None
) -> RegistryListing:
    """Read every model and every version."""
    # In turn: two concurrent queries to one Python server took longer.
    models = await _models(client, before)
    rows, count = await _rows(_all_versions(client))
    found = _grouped(rows)
    if count > 1 and before is not None and _vanished(found, models, before):
        again, _ = await _rows(_all_versions(client), lambda row: not _holds(found, row))
        rows = [*rows, *again]
        found = _grouped(rows)
    reading = RegistryListing(began, models, found, _newest(rows, 0))
    return await _with_missing(client, reading)


async def read_changes(client: MLflowClient, before: RegistryListing) -> RegistryListing:
    """Read every model, and the versions that changed since `before`."""
    models = await _models(client, before)
    rows = await _changed_rows(client, before.newest_ms)
    known = {
        name: versions
        for name, versions in before.versions.items()
        if _same_model(before.models.get(name), models.get(name))
    }
    changed = _grouped(rows)
    merged = known | {
        name: {**known.get(name, {}), **versions}
        for name, versions in changed.items()
        if {**known.get(name, {}), **versions} != known.get(name)
    }
    reading = RegistryListing(before.read_at, models, merged, _newest(rows, before.newest_ms))
    return await _with_missing(client, reading)


async def _changed_rows(client: MLflowClient, known_ms: int) -> list[VersionRow]:
    def ask(size: int, token: str) -> Awaitable[tuple[list[VersionRow], str]]:
        return client.search_versions(order_by=BY_LAST_UPDATE, page_size=size, token=token)

    rows: list[VersionRow] = []
    async for page in pages(ask, CHANGES_PAGE):
        count_kept(sum(memory_of_version(row.version) for row in page))
        rows += page
        # Equal timestamps may continue on the next page: only an older one ends the search.
        if page and page[-1].updated_ms < known_ms:
            break
    return rows


async def _models(client: MLflowClient, before: RegistryListing | None) -> Models:
    models, count = await _model_pages(client)
    if count > 1 and before is not None and before.models.keys() - models.keys():
        again, _ = await _model_pages(client)
        models = models | again
    return models


async def _model_pages(client: MLflowClient) -> tuple[dict[str, RegisteredModel], int]:
    def ask(size: int, token: str) -> Awaitable[tuple[list[RegisteredModel], str]]:
        return client.search_models(page_size=size, token=token)

    models: dict[str, RegisteredModel] = {}
    count = 0
    async for page in pages(ask, MODELS_PAGE):
        count_kept(sum(map(memory_of_model, page)))
        models |= {model.name: model for model in page}
        count += 1
    return models, count


def _all_versions(client: MLflowClient) -> AskPage[VersionRow]:
    return lambda size, token: client.search_versions(order_by=BY_NAME, page_size=size, token=token)


async def _rows(
    ask: AskPage[VersionRow], wanted: Callable[[VersionRow], bool] | None = None
) -> tuple[list[VersionRow], int]:
    """The rows of all pages, or the wanted ones of them, and the number of pages."""
    rows: list[VersionRow] = []
    count = 0
    async for page in pages(ask, VERSIONS_PAGE):
        kept = page if wanted is None else list(filter(wanted, page))
        count_kept(sum(memory_of_version(row.version) for row in kept))
        rows += kept
        count += 1
    return rows, count


def _is_of(name: str) -> Callable[[VersionRow], bool]:
    return lambda row: row.version.name == name


def _holds(found: Versions, row: VersionRow) -> bool:
    return found.get(row.version.name, {}).get(row.version.version) == row.version


async def _with_missing(client: MLflowClient, reading: RegistryListing) -> RegistryListing:
    """Add versions that the list of models names and the list of versions lacks.

    They were created between the two readings, or their model was renamed.
    """
    versions = dict(reading.versions)
    for name, model in reading.models.items():
        known = versions.get(name, {})
        if known.keys() >= set(model.aliases.values()) and (known or not model.has_versions):
            continue
        rows, _ = await _rows(_versions_of(client, name), _is_of(name))
        versions[name] = {**known, **_grouped(rows).get(name, {})}
    return RegistryListing(reading.read_at, reading.models, versions, reading.newest_ms)


def _versions_of(client: MLflowClient, name: str) -> AskPage[VersionRow]:
    try:
        named = f"name = {quoted(name)}"
    except RequestRejected:
        # A name with both kinds of quotes cannot be searched for: read everything.
        return _all_versions(client)
    return lambda size, token: client.search_versions(
        order_by=BY_NAME, filter_string=named, page_size=size, token=token
    )


def _grouped(rows: Iterable[VersionRow]) -> dict[str, dict[str, ModelVersion]]:
    found: dict[str, dict[str, ModelVersion]] = {}
    for row in rows:
        found.setdefault(row.version.name, {})[row.version.version] = row.version
    return found


def _vanished(found: Versions, models: Models, before: RegistryListing) -> bool:
    return any(
        versions.keys() - found.get(name, {}).keys()
        for name, versions in before.versions.items()
        if _same_model(before.models.get(name), models.get(name))
    )


def _same_model(one: RegisteredModel | None, other: RegisteredModel | None) -> bool:
    return one is not None and other is not None and one.created_ms == other.created_ms


def _newest(rows: Iterable[VersionRow], floor: int) -> int:
    return max(floor, *(row.updated_ms for row in rows), floor)
