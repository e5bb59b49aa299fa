"""The view of the model registry, from what was listed: aliases, runs and tags put together."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import replace

from feature_lineage.models.facts import ModelVersion, RegistryView
from feature_lineage.tracking.paging import RegistryListing


def assembled(
    reading: RegistryListing, trained: Iterable[ModelVersion], last: RegistryView | None
) -> dict[str, dict[str, ModelVersion]]:
    """Versions with their aliases; unchanged versions stay the same objects.

    Args:
        trained: all versions of `reading`, with their runs.
    """
    view: dict[str, dict[str, ModelVersion]] = {}
    known = {(version.name, version.version): version for version in trained}
    for name, versions in reading.versions.items():
        model = reading.models.get(name)
        by_version: dict[str, list[str]] = {}
        for alias, number in model.aliases.items() if model else ():
            by_version.setdefault(number, []).append(alias)
        named = view[name] = {}
        before = last.versions.get(name, {}) if last else {}
        for number, version in versions.items():
            whole = known[name, number]
            aliases = tuple(sorted(by_version[number])) if number in by_version else ()
            if aliases or whole.tags is not version.tags:
                whole = replace(whole, tags=version.tags, aliases=aliases)
            old = before.get(number)
            named[number] = old if old is not None and old == whole else whole
    return view


def changed_models(before: RegistryView | None, after: RegistryView) -> Set[str]:
    """Names of models with other versions, aliases, tags or training runs than before."""
    if before is None:
        return after.versions.keys()

    def same(name: str) -> bool:
        was, now = before.versions.get(name, {}), after.versions.get(name, {})
        return was == now and all(before.run_of(v) == after.run_of(v) for v in now.values())

    return {name for name in {*before.versions, *after.versions} if not same(name)}


def with_changes(tags: Mapping[str, str], changes: Mapping[str, str | None]) -> Mapping[str, str]:
    merged = {**tags, **changes}
    return {key: value for key, value in merged.items() if value is not None}
