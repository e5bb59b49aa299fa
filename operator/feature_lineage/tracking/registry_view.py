"""The view of the model registry, from what was listed: aliases, runs and tags put together."""

from collections.abc import Mapping, Set
from dataclasses import replace

from feature_lineage.models.facts import ModelVersion, RegistryView
from feature_lineage.tracking.paging import RegistryListing
from feature_lineage.tracking.run_resolver import VersionKey


def assembled(
    reading: RegistryListing, runs_of: Mapping[VersionKey, str], last: RegistryView | None
) -> dict[str, dict[str, ModelVersion]]:
    """Versions with their aliases and resolved runs; unchanged versions stay the same objects."""
    view: dict[str, dict[str, ModelVersion]] = {}
    for name, versions in reading.versions.items():
        model = reading.models.get(name)
        by_version: dict[str, list[str]] = {}
        for alias, number in model.aliases.items() if model else ():
            by_version.setdefault(number, []).append(alias)
        named = view[name] = {}
        for number, version in versions.items():
            aliases = tuple(sorted(by_version.get(number, ())))
            run_id = version.run_id or runs_of.get((name, number), "")
            whole = version
            if aliases or run_id != version.run_id:
                whole = replace(version, aliases=aliases, run_id=run_id)
            old = last.version(name, number) if last else None
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
