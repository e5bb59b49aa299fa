"""Imports the repo's code and computes the desired registry. Writes nothing.

Feast's `parse_repo` collects the objects and Feast's inference completes them, as in
``feast apply``. Both use a copy of the registry in memory.
"""

import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from feast import FeatureStore
from feast.infra.registry.registry import Registry
from feast.infra.registry.registry_store import NoopRegistryStore
from feast.project import Project
from feast.repo_contents import RepoContents
from feast.repo_operations import get_repo_files, parse_repo

from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.runner.canonical import snapshot_of
from feature_lineage.runner.errors import InvalidRepo
from feature_lineage.runner.settings import disable_reporting


def import_repo(repo: Path, store: FeatureStore) -> RepoContents:
    """Run the repo's code and collect its Feast objects.

    Raises:
        InvalidRepo: a file cannot be imported under its name, or the project does not fit.
    """
    os.chdir(repo)
    _refuse_shadowing_names(repo)
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(repo))
    try:
        contents = parse_repo(repo)
    finally:
        os.chdir(repo)  # repo code may change directory; relative sources depend on it
        disable_reporting(store)
    if not contents.projects:
        description = store.config.project_description or ""
        contents.projects.append(Project(name=store.project, description=description))
    names = sorted({project.name for project in contents.projects})
    if names != [store.project]:
        raise InvalidRepo(
            f"the repo defines Project {', '.join(map(repr, names))}, "
            f"feature_store.yaml says {store.project!r}: use one name"
        )
    _add_inner_sources(contents)
    return contents


def desired_snapshot(store: FeatureStore, contents: RepoContents, current: Any) -> RegistrySnapshot:
    """The registry as it would be with only these objects applied.

    Args:
        current: the registry's message, for references to applied objects.
    """
    store._registry = memory_registry(store, current)
    store._validate_all_feature_views(
        contents.feature_views,
        contents.on_demand_feature_views,
        contents.stream_feature_views,
        contents.label_views,
    )
    store._make_inferences(
        contents.data_sources,
        contents.entities,
        contents.feature_views,
        contents.on_demand_feature_views,
        contents.stream_feature_views,
        contents.feature_services,
        contents.label_views,
    )
    os.chdir(store.repo_path)  # inference runs on-demand functions
    disable_reporting(store)
    return snapshot_of(contents.to_registry_proto(), store.project, owner=None)


def memory_registry(store: FeatureStore, current: Any) -> Registry:
    """A registry that holds ``current`` in memory and is never stored."""
    registry = Registry(store.project, None, None)
    registry.cached_registry_proto_ttl = timedelta(0)  # never expires
    registry._registry_store = NoopRegistryStore()
    registry._registry_store.get_registry_proto = lambda: registry.cached_registry_proto
    copy = type(current)()
    copy.CopyFrom(current)
    registry.cached_registry_proto = copy
    return registry


def _refuse_shadowing_names(repo: Path) -> None:
    """Refuse files whose name is the name of another module.

    Feast imports repo files by name. If another module has the name, Python imports
    that module, and the file's objects are missing without an error.
    """
    for file in get_repo_files(repo):
        relative = file.relative_to(repo)
        top = relative.parts[0].removesuffix(".py")
        if top in sys.stdlib_module_names:
            taken = "a module of Python's standard library"
        elif top in sys.modules:
            taken = "a package that is already loaded"
        else:
            continue
        raise InvalidRepo(
            f"{relative}: {top!r} is the name of {taken}, so this file would never be read; "
            "rename it or list it in .feastignore"
        )


def _add_inner_sources(contents: RepoContents) -> None:
    """Add the sources that only other objects name, as Feast does when it applies them."""
    found: list[Any] = [getattr(source, "batch_source", None) for source in contents.data_sources]
    for view in contents.on_demand_feature_views:
        found += view.source_request_sources.values()
        found += (p.batch_source for p in view.source_feature_view_projections.values())
    known = list(contents.data_sources)
    for source in found:
        if source is not None and not any(source is other for other in known):
            known.append(source)
            contents.data_sources.append(source)
