"""Finds the training run of a model version that names none, through the version's source.

``runs:/<id>/…`` names the run, ``models:/m-…`` is a LoggedModel with a run, and ``models:/name/3``
or ``models:/name@alias`` is another version (a promotion by copy), which is followed until a
version names a run or the chain is a cycle.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import unquote

from feature_lineage.errors import AccessRefused, NotFound, RequestRejected
from feature_lineage.models.facts import ModelVersion
from feature_lineage.tracking.client import MLflowClient
from feature_lineage.tracking.concurrency import for_each
from feature_lineage.tracking.mlflow_errors import ServerFailed
from feature_lineage.tracking.paging import RegistryListing
from feature_lineage.tracking.parsing import RUN_ID

MODEL_SOURCE: Final = "models:/"

VersionKey = tuple[str, str]
"""Model and version."""

Ends = dict[VersionKey, ModelVersion | None]
"""The version at the end of the chain of copies of each, None where it has no end."""


class RunResolver:
    """Resolves versions to runs; caches the runs of LoggedModels, which cannot change."""

    def __init__(self, client: MLflowClient) -> None:
        self._client = client
        self._run_of_model: dict[str, str] = {}

    async def with_runs(self, reading: RegistryListing, *, full: bool) -> list[ModelVersion]:
        """The versions of a registry with their runs and LoggedModels, also those of copies.

        Args:
            reading: the registry as read.
            full: read LoggedModels again that named no run or could not be read.
        """
        runs = await self.runs_of(reading, full=full)
        models: Ends = {}
        named = []
        for versions in reading.versions.values():
            for version in versions.values():
                run_id, model_id = version.run_id, version.model_id
                if not run_id:
                    run_id = runs.get((version.name, version.version), "")
                if not model_id and version.source.startswith(MODEL_SOURCE):
                    end = _end(version, reading, _has_model, models)
                    model_id = end.model_id if end is not None else ""
                same = run_id == version.run_id and model_id == version.model_id
                whole = version if same else replace(version, run_id=run_id, model_id=model_id)
                named.append(whole)
        return named

    async def runs_of(self, reading: RegistryListing, *, full: bool) -> Mapping[VersionKey, str]:
        """Run id by (model, version), of versions that name no run and whose source leads to one.

        Args:
            reading: the registry as read.
            full: read LoggedModels again that named no run or could not be read.
        """
        if full:
            self._run_of_model = {i: run for i, run in self._run_of_model.items() if run}
        known: Ends = {}
        ends = {
            (version.name, version.version): end
            for versions in reading.versions.values()
            for version in versions.values()
            if not version.run_id and (end := origin(version, reading, known)) is not None
        }
        await self._ask_logged_models({end.model_id for end in ends.values() if not end.run_id})
        found = {key: self._run(end) for key, end in ends.items()}
        return {key: run_id for key, run_id in found.items() if run_id}

    def _run(self, end: ModelVersion) -> str:
        return end.run_id or run_id_in(end.source) or self._run_of_model.get(end.model_id, "")

    async def _ask_logged_models(self, model_ids: set[str]) -> None:
        async def ask(model_id: str) -> None:
            try:
                run_id = await self._client.logged_model_run(model_id)
            except (NotFound, AccessRefused, RequestRejected, ServerFailed):
                # One deleted or forbidden model must not prevent the reading of all others.
                run_id = ""
            self._run_of_model[model_id] = run_id if RUN_ID.fullmatch(run_id) else ""

        await for_each(sorted(model_ids - self._run_of_model.keys() - {""}), ask)


def origin(
    version: ModelVersion, reading: RegistryListing, known: Ends | None = None
) -> ModelVersion | None:
    """The version at the end of the chain of copies; None if the chain is broken or a cycle.

    Args:
        version: the first of the chain.
        reading: the registry as read.
        known: the ends that were found in this reading, which grow.
    """
    return _end(version, reading, _has_origin, {} if known is None else known)


def _has_origin(version: ModelVersion) -> bool:
    return bool(version.run_id or run_id_in(version.source) or version.model_id)


def _has_model(version: ModelVersion) -> bool:
    return bool(version.model_id)


def _end(
    version: ModelVersion,
    reading: RegistryListing,
    is_end: Callable[[ModelVersion], bool],
    known: Ends,
) -> ModelVersion | None:
    following: ModelVersion | None = version
    walked: set[VersionKey] = set()
    while following is not None and not is_end(following):
        key = (following.name, following.version)
        if key in known:
            following = known[key]
            break
        known[key] = None  # the answer for a cycle
        walked.add(key)
        following = _copied_from(following.source, reading)
    known.update(dict.fromkeys(walked, following))
    return following


def run_id_in(source: str) -> str:
    """The id in ``runs:/<id>/…``, "" for any other source."""
    run_id = source.removeprefix("runs:/").partition("/")[0]
    return run_id if run_id != source and RUN_ID.fullmatch(run_id) else ""


def _copied_from(source: str, reading: RegistryListing) -> ModelVersion | None:
    if not source.startswith(MODEL_SOURCE):
        return None
    rest = unquote(source.removeprefix(MODEL_SOURCE))
    name, slash, number = rest.rpartition("/")
    if not slash:
        name, _, alias = rest.rpartition("@")
        model = reading.models.get(name)
        number = model.aliases.get(alias, "") if model else ""
    return reading.versions.get(name, {}).get(number)
