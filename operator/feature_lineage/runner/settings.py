"""Reads feature_store.yaml and opens a `FeatureStore` with reporting disabled.

Feast's own MLflow and OpenLineage reporting is switched off in memory: it would duplicate the ops
run, blocks for minutes when MLflow is down, and reports an apply before it is committed.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml
from feast import FeatureStore
from feast.errors import FeastError, FeastExtrasDependencyImportError
from feast.infra.registry.registry import REGISTRY_STORE_CLASS_FOR_SCHEME
from feast.repo_config import RegistryConfig, RepoConfig
from pydantic import ValidationError

from feature_lineage.api.enums import OperationKind
from feature_lineage.errors import WHERE_JOBS_RUN, TerminalError
from feature_lineage.operations.kinds import KINDS
from feature_lineage.reasons import Reason
from feature_lineage.runner.address import hosts_with, registry_id, secrets_in
from feature_lineage.runner.errors import InvalidRepo, error_line
from feature_lineage.runner.online_address import online_store_id
from feature_lineage.runner.variables import unset_variables

FILE_NAME: Final = "feature_store.yaml"
_EXTRA: Final = re.compile(r"feast\[([^\]]+)\]")


@dataclass(frozen=True)
class Settings:
    """A valid feature_store.yaml.

    Attributes:
        config: the file as Feast parses it.
        registry_type: such as ``file`` or ``sql``.
        registry_id: digest of the registry's type and address, credentials left out.
        online_store_id: the same of the online store.
        secrets: values that must not be shown.
        hosts: names of hosts that contain such a value.
    """

    config: RepoConfig
    registry_type: str
    registry_id: str
    online_store_id: str
    secrets: tuple[str, ...]
    hosts: tuple[str, ...]

    @property
    def online_store_type(self) -> str:
        return str(getattr(self.config.online_store, "type", "") or "")


def load_settings(repo: Path, text: str | None) -> Settings:
    """Read ``text``, or the repo's own file where it is None.

    Raises:
        InvalidRepo: the file is missing or invalid.
    """
    what = FILE_NAME if text is None else f"{FILE_NAME} (given by featureStoreYaml)"
    if not repo.is_dir():
        raise InvalidRepo(f"{repo} is no directory")
    if text is None:
        try:
            text = (repo / FILE_NAME).read_text()
        except FileNotFoundError as error:
            raise InvalidRepo(f"there is no {FILE_NAME} in the repo: is the path right?") from error
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidRepo(f"{what} cannot be read: {error_line(error)}") from error
    text = os.path.expandvars(text)
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        _check_variables(text, what)  # braces that are left may be why it is no YAML
        raise InvalidRepo(f"{what} is no YAML: {error_line(error)}") from error
    if not isinstance(raw, dict):
        raise InvalidRepo(f"{what} must hold a mapping, with a project and a registry")
    _check_variables(raw, what)
    config, registry = _validate(raw, what)
    config.repo_path = repo
    registry.cache_mode = "sync"  # no refresh thread, which would write between reads
    kind = str(registry.registry_type or "file")
    try:
        registry_address = registry_id(kind, str(registry.path), repo)
    except ValueError:
        # The error of `urlsplit` has the password.
        raise InvalidRepo(f"{what}: registry.path is no valid address") from None
    online = online_store_id(config, repo)
    secrets = secrets_in(raw)
    hosts = hosts_with(secrets, raw)
    return Settings(config, kind, registry_address, online, secrets, hosts)


def _check_variables(expanded: Any, what: str) -> None:
    unset = dict.fromkeys(unset_variables(expanded))
    if unset:
        raise InvalidRepo(
            f"{what} uses variables that are not set: {', '.join(unset)}; set them in spec.runtime "
            "(env, envFrom), or in the environment of this command"
        )


def _validate(raw: dict[str, Any], what: str) -> tuple[RepoConfig, Any]:
    """Feast's own checks, and checks that Feast makes only at first use."""
    try:
        config = RepoConfig(**raw)
        registry = config.registry
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "it"
        raise InvalidRepo(f"{what} is not valid: {where}: {first['msg']}") from error
    except (FeastError, ValueError, TypeError) as error:
        raise InvalidRepo(f"{what} is not valid: {_package(error) or error_line(error)}") from error
    if not isinstance(registry, RegistryConfig) or not registry.path:
        raise InvalidRepo(f"{what} is not valid: registry: give it a path")
    scheme = urlsplit(str(registry.path)).scheme
    stored = (registry.registry_type or "file") == "file" and not registry.registry_store_type
    if stored and scheme not in REGISTRY_STORE_CLASS_FOR_SCHEME:
        known = ", ".join(sorted(filter(None, REGISTRY_STORE_CLASS_FOR_SCHEME)))
        raise InvalidRepo(f"{what} is not valid: registry: {scheme}:// is none of {known}")
    return config, registry


def _package(error: BaseException) -> str:
    """The missing package, where Feast names only its own module that could not be imported.

    Some of these errors name the Feast extra and hide the cause in the exception's context.
    """
    of_extra, cause = "", error.__cause__
    while cause is not None and not isinstance(cause, ModuleNotFoundError):
        hidden = None
        if isinstance(cause, FeastExtrasDependencyImportError):
            hidden, named = cause.__context__, _EXTRA.search(str(cause))
            of_extra = f" (Feast's extra {named[1]!r})" if named else ""
        cause = cause.__cause__ or hidden
    if cause is None or not cause.name:
        return ""
    return f"it needs the package {cause.name!r}{of_extra}: add it {WHERE_JOBS_RUN}"


def check_project(settings: Settings, expected: str) -> None:
    """Refuse a feature_store.yaml of another project.

    Raises:
        TerminalError: it names another one.
    """
    if settings.config.project != expected:
        raise TerminalError(
            f"{FILE_NAME} says project {settings.config.project!r}, the resource says "
            f"{expected!r}: make them the same",
            reason=Reason.PROJECT_MISMATCH,
        )


def check_writable(settings: Settings, kind: OperationKind) -> None:
    """Refuse to change definitions through a registry server.

    Feast sends each object in a request of its own, and no lock or comparison spans them: a job
    that dies, or another writer, would leave a registry that is neither the old nor the new one.

    Raises:
        InvalidRepo: the operation changes definitions.
    """
    traits = KINDS[kind]
    if settings.registry_type != "remote" or not traits.writes_registry or traits.materializes:
        return
    raise InvalidRepo(
        f"registry_type remote: {traits.command} needs a transaction, and the registry server at "
        f"{settings.config.registry.path} has none; the job changed nothing. Name the registry "
        "behind the server in spec.featureStoreYaml, or set spec.apply.mode to Observe or PlanOnly "
        "(and deletionPolicy to Retain)"
    )


def open_store(settings: Settings, repo: Path) -> FeatureStore:
    """A `FeatureStore` with no connection open and reporting disabled."""
    store = FeatureStore(repo_path=str(repo), config=settings.config)
    disable_reporting(store)
    return store


def disable_reporting(store: FeatureStore) -> None:
    """Disable Feast's MLflow and OpenLineage reporting; call it again after repo code has run."""
    if store.config.mlflow is not None:
        store.config.mlflow.enabled = False
    store._mlflow_client = None  # None means "disabled"; enabled=False alone is not enough
    if store.config.openlineage is not None:
        store.config.openlineage.enabled = False
    store._openlineage_emitter = None
