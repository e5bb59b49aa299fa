"""Reads what the runs of model versions recorded about their features, as far as it decides.

The tags of a run come with the run. Everything else costs requests, and is read only where the
tags do not prove the list: LoggedModels in bulk, where Feast recorded a retrieval in the run; the
number of retrievals, the artifact and the signature one by one, where there was more than one; the
signature also of a version with an alias, for the names of its columns; the run around a nested
run, where the nested run has no record of training.
"""

import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from feature_lineage.errors import AccessRefused, NotFound, RequestRejected
from feature_lineage.models.facts import MANY, LoggedModel, ModelVersion, TrainingRun
from feature_lineage.models.recorded import REFS_TAG
from feature_lineage.models.training_list import needs_artifact, needs_count, training_list
from feature_lineage.tracking.cache_budget import count_kept, memory_of_references
from feature_lineage.tracking.client import MLflowClient
from feature_lineage.tracking.concurrency import for_each
from feature_lineage.tracking.logged_models import Experiments, LoggedModels
from feature_lineage.tracking.mlflow_errors import ServerFailed
from feature_lineage.tracking.parsing import RETRIEVAL_METRIC
from feature_lineage.tracking.training import TrainingRuns
from feature_lineage.untrusted import parse_json

FEATURES_ARTIFACT: Final = "feast_features.json"
MAX_FEATURES: Final = 1024 * 1024
SIGNATURES_PER_READING: Final = 1000
"""Of versions with an alias; the next reading continues."""
MAX_PARENTS: Final = 5
"""Runs around a run that are read; MLflow shows nested runs two levels deep."""

_REFUSED: Final = (AccessRefused, ServerFailed)
"""No permission, or a storage that the server cannot read: the list stays unknown, which the
verdict shows. Other versions are not affected."""


Reading = tuple[tuple[ModelVersion, ...], Mapping[str, TrainingRun]]
"""Versions, and their runs by id."""


class TrainingRecords:
    """The records of the training runs of versions, with a cache."""

    def __init__(self, client: MLflowClient) -> None:
        self._client = client
        self._runs = TrainingRuns(client)
        self._models = LoggedModels(client)
        self._nested: set[str] = set()
        self._unreadable: set[str] = set()

    @property
    def logged(self) -> Collection[LoggedModel]:
        """The LoggedModels in the cache."""
        return self._models.known

    async def of(
        self,
        versions: Iterable[ModelVersion],
        *,
        now: datetime,
        full: bool,
        promoted: Collection[tuple[str, str]] = (),
    ) -> Reading:
        """The runs of versions, including deleted ones, with the records that decide.

        Args:
            versions: with their runs and LoggedModels.
            promoted: (model, version) of those that an alias points to.
            now: the current time.
            full: read unfinished and missing runs again, and artifacts that could not be read.

        Returns:
            The versions in the same order, with `logged` where it decides and with the run of that
            LoggedModel; and their runs.
        """
        versions = tuple(versions)
        experiments = _once(self._client.experiment_ids)
        ids = {version.run_id for version in versions}
        if full:
            self._runs.forget((ids | self._nested) - self._unreadable)
            self._unreadable.clear()
        runs = await self._runs.of(ids, experiments, now=now)
        asked = {v.model_id for v in versions if v.model_id and self._needs_model(v)}
        logged = await self._models.of(asked, experiments, full=full)
        if logged:
            versions = tuple(self._ordered(version, logged) for version in versions)
            named = {v.run_id for v in versions}
            more = await self._runs.of(named - ids, experiments, now=now)
            runs = {i: run for i, run in {**runs, **more}.items() if i in named}
        incomplete = [
            v for v in versions if v.run_id not in self._runs.proven and self._is_incomplete(v)
        ]
        chains = {version.run_id: [version.run_id] for version in incomplete}
        for _ in range(MAX_PARENTS):
            await self._read_details(incomplete, chains)
            incomplete = [v for v in incomplete if self._extend(v, chains)]
            if not incomplete:
                break
            await self._runs.of({chains[v.run_id][-1] for v in incomplete}, experiments, now=now)
        nested = {i: run for i, chain in chains.items() if (run := self._nest(chain)) is not None}
        self._nested = {i for chain in chains.values() for i in chain[1:]}
        runs = {**runs, **nested}
        return await self._with_inputs(versions, runs, frozenset(promoted)), runs

    def _needs_model(self, version: ModelVersion) -> bool:
        """Whether the LoggedModel says more: an order, or another run than the version names."""
        run = self._runs.get(version.run_id)
        if run is None or not version.model_id:
            return False
        foreign = run.models and all(version.model_id != model for model, _ in run.models)
        return bool(run.last_retrieval or (foreign and run.tags.get(REFS_TAG)))

    def _ordered(self, version: ModelVersion, logged: Mapping[str, LoggedModel]) -> ModelVersion:
        model, run = logged.get(version.model_id), self._runs.get(version.run_id)
        if model is None or run is None or not self._needs_model(version):
            return version
        if not model.retrievals and (version.model_id, 0) not in run.models:
            model = replace(model, retrievals=None)
        return replace(version, logged=model, run_id=model.run_id or version.run_id)

    def _is_incomplete(self, version: ModelVersion) -> bool:
        """Whether anything but the tags of the run can be needed, by whichever version names it."""
        run = self._runs.get(version.run_id)
        if run is None:
            return False
        if run.last_retrieval or run.parent_id or needs_artifact(version, run):
            return True
        self._runs.proven.add(run.run_id)
        return False

    async def _read_details(
        self, versions: list[ModelVersion], chains: Mapping[str, list[str]]
    ) -> None:
        of_run: dict[str, list[ModelVersion]] = {}
        for version in versions:
            of_run.setdefault(version.run_id, []).append(version)

        async def read(run_id: str) -> None:
            for version in of_run[run_id]:
                for needs, ask in ((needs_count, self._count), (needs_artifact, self._artifact)):
                    run = self._nest(chains[run_id])
                    each = needs(version, run) if run is not None else ""
                    if each and self._runs.first_time(each, needs.__name__):
                        await ask(each)

        await for_each(sorted(of_run), read)

    def _extend(self, version: ModelVersion, chains: Mapping[str, list[str]]) -> bool:
        """Add the run around the outermost run, if no run so far has a record of training."""
        chain = chains[version.run_id]
        run, outermost = self._nest(chain), self._runs.get(chain[-1])
        if run is None or outermost is None or training_list(version, run).run is not None:
            return False
        if not outermost.parent_id or outermost.parent_id in chain:
            return False
        chain.append(outermost.parent_id)
        return True

    def _nest(self, chain: Iterable[str]) -> TrainingRun | None:
        """The first run of a chain, with the others as its parents."""
        nested: TrainingRun | None = None
        for run_id in reversed(tuple(chain)):
            run = self._runs.get(run_id)
            nested = run if run is None or nested is None else replace(run, parent=nested)
        return nested

    async def _with_inputs(
        self,
        versions: tuple[ModelVersion, ...],
        runs: Mapping[str, TrainingRun],
        promoted: frozenset[tuple[str, str]],
    ) -> tuple[ModelVersion, ...]:
        """With the signatures of models whose list is in doubt, or that an alias points to."""
        doubtful, named = set(), set()
        for version in versions:
            if version.logged is None:
                continue
            if training_list(version, runs.get(version.run_id)).possible:
                doubtful.add(version.model_id)
            elif (version.name, version.version) in promoted:
                named.add(version.model_id)
        if not (wanted := doubtful | named):
            return versions
        some = self._models.unread(named)[:SIGNATURES_PER_READING]
        await for_each(sorted(doubtful.union(some)), self._models.read_inputs)
        return tuple(
            replace(v, logged=replace(v.logged, inputs=self._models.inputs(v.model_id)))
            if v.logged is not None and v.model_id in wanted
            else v
            for v in versions
        )

    async def _count(self, run_id: str) -> None:
        try:
            count = await self._client.count_metric(run_id, RETRIEVAL_METRIC, MANY)
        except (NotFound, RequestRejected):
            return
        except _REFUSED:
            self._unreadable.add(run_id)
            return
        run = self._runs.get(run_id)
        if run is not None and count:
            self._runs.put(replace(run, retrievals=count))

    async def _artifact(self, run_id: str) -> None:
        try:
            body = await self._client.download(run_id, FEATURES_ARTIFACT, max_bytes=MAX_FEATURES)
        except (NotFound, RequestRejected):
            return
        except _REFUSED:
            self._unreadable.add(run_id)
            return
        # Read again: another request may have completed the run in the meantime.
        run = self._runs.get(run_id)
        if run is not None:
            references = _references(body)
            count_kept(memory_of_references(references))
            self._runs.put(replace(run, features_artifact=references))


def _references(body: bytes) -> tuple[str, ...] | None:
    """The references in a ``feast_features.json``; None if it is not a JSON list of strings."""
    try:
        value = parse_json(body)
    except ValueError:
        return None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return None
    return tuple(sys.intern(item) for item in value)


def _once(ask: Experiments) -> Experiments:
    """Asks at the first call only."""
    known: list[list[str]] = []

    async def answer() -> list[str]:
        if not known:
            known.append(await ask())
        return known[0]

    return answer
