"""What a retrieval for training gets for the keys of a retrieval from the online store."""

from collections.abc import Mapping
from copy import copy
from typing import Any, Final

import pandas as pd
from feast import FeatureStore

from feature_lineage.runner.alike_keys import RowAt, alike_keys
from feature_lineage.runner.dry_retrieval import function_of, registry_in_memory
from feature_lineage.runner.keys_query import embedding, keys_query, without_keys
from feature_lineage.runner.reader import Reading
from feature_lineage.runner.retrieval import Retrieval
from feature_lineage.shorten import listed

Found = Mapping[RowAt, Mapping[str, Any]]
"""Column → value of each."""
_POSTGRES: Final = "postgres"
_JOINS_KEYS: Final = frozenset({"file", "dask", "duckdb"})
"""Types of offline stores that do not compare the texts of keys."""
_ALIKE: Final = "their keys of {} have the text of other keys, and Feast's query joins by texts"
_ID: Final = "feature_lineage_row"
_TIME: Final = "event_timestamp"


class TrainingValues:
    """Asks the sources of a store, whose registry stays as it is."""

    def __init__(self, store: FeatureStore, reading: Reading) -> None:
        # A retrieval for training changes the views of its registry: without entities, Feast
        # could not serve them any more.
        self._store = copy(store)
        self._store._registry = registry_in_memory(store, reading)
        self._type = str(getattr(store.config.offline_store, "type", ""))
        if self._type == _POSTGRES:
            self._store.config = embedding(store.config)

    def of(self, retrieval: Retrieval, moments: tuple[RowAt, ...]) -> tuple[Found, str]:
        """The values of all columns at each moment, and why some are left out; "" if none are.

        Raises:
            BaseException: Feast's error, or one of the source or of an on-demand function.
        """
        try:
            return self._of(retrieval, moments)
        except Exception as error:
            if self._type != _POSTGRES or function_of(error.__traceback__) is not None:
                raise
            raise without_keys(error) from None

    def _of(self, retrieval: Retrieval, moments: tuple[RowAt, ...]) -> tuple[Found, str]:
        rows = retrieval.asked.rows
        keys = [
            {**{k: v for k, v in rows[number].items() if k}, _TIME: at, _ID: index}
            for index, (number, at) in enumerate(moments)
        ]
        job = self._store.get_historical_features(
            keys_query(keys) if self._type == _POSTGRES else pd.DataFrame(keys),
            retrieval.features,
            full_feature_names=retrieval.context.full,
        )
        answers = job.to_df().to_dict("records")
        found = {moments[int(answer[_ID])]: answer for answer in answers}
        alike, why = self._alike(retrieval, moments)
        return {moment: answer for moment, answer in found.items() if moment not in alike}, why

    def _alike(self, retrieval: Retrieval, moments: tuple[RowAt, ...]) -> tuple[set[RowAt], str]:
        """Rows that may get the values of others, and a text that says so; "" without any."""
        found: set[RowAt] = set()
        names: list[str] = []
        for view in retrieval.context.views if self._type not in _JOINS_KEYS else ():
            if alike := alike_keys(view, retrieval.asked.rows, moments):
                found |= alike
                names.append(view.view.name)
        rows = len({number for number, _ in found})
        return found, f"{rows} rows: {_ALIKE.format(listed(names, 3))}" if rows else ""
