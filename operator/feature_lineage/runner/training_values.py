"""What a retrieval for training gets for the keys of a retrieval from the online store."""

from collections.abc import Mapping
from copy import copy
from datetime import datetime
from typing import Any, Final

import pandas as pd
from feast import FeatureStore

from feature_lineage.runner.dry_retrieval import registry_in_memory
from feature_lineage.runner.reader import Reading
from feature_lineage.runner.retrieval import Retrieval

RowAt = tuple[int, datetime]
"""A row of a retrieval, and the time as of which it is asked for."""
Found = Mapping[RowAt, Mapping[str, Any]]
"""Column → value of each."""
_ID: Final = "feature_lineage_row"
_TIME: Final = "event_timestamp"


class TrainingValues:
    """Asks the sources of a store, whose registry stays as it is."""

    def __init__(self, store: FeatureStore, reading: Reading) -> None:
        # A retrieval for training changes the views of its registry: without entities, Feast
        # could not serve them any more.
        self._store = copy(store)
        self._store._registry = registry_in_memory(store, reading)

    def of(self, retrieval: Retrieval, moments: tuple[RowAt, ...]) -> Found:
        """The values of all columns at each moment.

        Raises:
            BaseException: Feast's error, or one of the source or of an on-demand function.
        """
        rows = retrieval.asked.rows
        entities = pd.DataFrame(
            {**{k: v for k, v in rows[number].items() if k}, _TIME: at, _ID: index}
            for index, (number, at) in enumerate(moments)
        )
        job = self._store.get_historical_features(
            entities, retrieval.features, full_feature_names=retrieval.context.full
        )
        answers = job.to_df().to_dict("records")
        return {moments[int(answer[_ID])]: answer for answer in answers}
