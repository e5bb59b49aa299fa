"""Reads LoggedModels of MLflow 3 in bulk, and the signature of single ones; caches both.

A LoggedModel does not change after it was logged, except for metrics of evaluations.
"""

import re
import sys
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Final

from feature_lineage.errors import AccessRefused, NotFound, RequestRejected
from feature_lineage.models.facts import LoggedModel
from feature_lineage.tracking.cache_budget import (
    count_kept,
    memory_of_logged,
    memory_of_references,
)
from feature_lineage.tracking.client import MLflowClient, quoted
from feature_lineage.tracking.mlflow_errors import ServerFailed
from feature_lineage.tracking.page_walk import pages
from feature_lineage.untrusted import parse_json

IDS_PER_CALL: Final = 500
MAX_MLMODEL: Final = 256 * 1024
MAX_INPUTS: Final = 10_000

Experiments = Callable[[], Awaitable[list[str]]]

_INPUTS: Final = re.compile(r"^signature:\n  inputs: '((?:[^']|'')*)'\n", re.MULTILINE)
_FOLD: Final = re.compile(r"\n[ ]*")


class LoggedModels:
    """The LoggedModels of versions, with a cache."""

    def __init__(self, client: MLflowClient) -> None:
        self._client = client
        self._known: dict[str, LoggedModel] = {}
        self._absent: set[str] = set()
        self._without_inputs: set[str] = set()
        self._refused: set[str] = set()

    async def of(
        self, model_ids: Iterable[str], experiments: Experiments, *, full: bool
    ) -> Mapping[str, LoggedModel]:
        """The LoggedModels with these ids, without those that MLflow does not show.

        Args:
            full: ask again for those that MLflow did not show before, and for signatures that it
                refused.
        """
        wanted = set(model_ids)
        if full:
            self._known = {i: model for i, model in self._known.items() if i in wanted}
            self._absent.clear()
            self._without_inputs = (self._without_inputs & wanted) - self._refused
            self._refused.clear()
        missing = sorted(wanted - self._known.keys() - self._absent)
        while some := missing[:IDS_PER_CALL]:
            missing = missing[IDS_PER_CALL:]
            found = await self._search(some, await experiments())
            self._known |= found
            self._absent |= set(some) - found.keys()
        return {i: self._known[i] for i in wanted & self._known.keys()}

    @property
    def known(self) -> Collection[LoggedModel]:
        """Those in the cache."""
        return self._known.values()

    def inputs(self, model_id: str) -> tuple[str, ...] | None:
        return self._known[model_id].inputs

    def unread(self, model_ids: Iterable[str]) -> list[str]:
        """Those of known LoggedModels whose signature was not read yet, sorted."""
        return sorted(
            model_id
            for model_id in set(model_ids) - self._without_inputs
            if self._known[model_id].inputs is None
        )

    async def read_inputs(self, model_id: str) -> None:
        """Read the names of the columns in the signature of a known LoggedModel, once."""
        if model_id in self._without_inputs or self._known[model_id].inputs is not None:
            return
        inputs = None
        try:
            body = await self._client.download_of_model(model_id, "MLmodel", max_bytes=MAX_MLMODEL)
            inputs = signature_inputs(body)
        except (NotFound, RequestRejected):
            pass
        except (AccessRefused, ServerFailed):
            self._refused.add(model_id)
        if inputs is None:
            self._without_inputs.add(model_id)
            return
        count_kept(memory_of_references(inputs))
        self._known[model_id] = replace(self._known[model_id], inputs=inputs)

    async def _search(self, model_ids: list[str], experiments: list[str]) -> dict[str, LoggedModel]:
        wanted = f"model_id IN ({', '.join(map(quoted, model_ids))})"

        def ask(size: int, token: str) -> Awaitable[tuple[list[tuple[str, LoggedModel]], str]]:
            return self._client.search_logged_models(
                experiments, wanted, page_size=size, token=token
            )

        found: dict[str, LoggedModel] = {}
        try:
            async for page in pages(ask, IDS_PER_CALL):
                count_kept(sum(memory_of_logged(model) for _, model in page))
                found |= page
        except (NotFound, RequestRejected, AccessRefused, ServerFailed):
            # MLflow 2, or no permission: the order of records stays unknown, which links show.
            return {}
        return found


def signature_inputs(body: bytes) -> tuple[str, ...] | None:
    """Names of the columns in the signature of an ``MLmodel`` file; None if it names none.

    The file is YAML, of which only this one scalar is read: a parser of YAML would have no bounds.
    """
    scalar = _INPUTS.search(body.decode("utf-8", "replace"))
    if scalar is None:
        return None
    try:
        value = parse_json(_FOLD.sub(" ", scalar[1].replace("''", "'")).encode())
    except ValueError:
        return None
    columns = value if isinstance(value, list) else []
    found = [column.get("name") for column in columns if isinstance(column, dict)]
    names = tuple(sys.intern(name) for name in found if isinstance(name, str))
    return names if names and len(names) == len(columns) <= MAX_INPUTS else None
