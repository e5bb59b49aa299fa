"""Cuts the texts of an ops run to MLflow's limits and stores the full texts as an artifact.

Texts come from job reports and repos, so they may be long or contain characters that databases do
not store. A Feast list (``feast.*``) that is too long is omitted and named, never cut: half a list
of references looks like a complete one, which is how Feast itself loses lineage.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from feature_lineage.features.snapshot import canonical_json
from feature_lineage.operations.records import OpsRun
from feature_lineage.shorten import cut

OMITTED_TAG: Final = "featurelineage.io/omitted-tags"
FULL_VALUES_ARTIFACT: Final = "full_values.json"
MAX_KEY: Final = 250
MAX_PARAM: Final = 6000
MAX_TAG: Final = 8000
"""Characters. MLflow accepts longer texts, and the database may refuse them."""
_NOT_IN_KEYS: Final = re.compile(r"[^\w./ :-]")


def truncated(run: OpsRun) -> OpsRun:
    """The run within MLflow's limits."""
    tags, params = _clean(run.tags), _clean(run.params)
    full_tags = {key: value for key, value in tags.items() if len(value) > MAX_TAG}
    full_params = {key: value for key, value in params.items() if len(value) > MAX_PARAM}
    artifacts = {path: _storable(text) for path, text in run.artifacts.items()}
    if full_tags or full_params:
        full = {"tags": full_tags, "params": full_params}
        artifacts[FULL_VALUES_ARTIFACT] = canonical_json(full)
    omitted = sorted(key for key in full_tags if key.startswith("feast."))
    kept = {key: cut(value, MAX_TAG) for key, value in tags.items() if key not in omitted}
    if omitted:
        kept[OMITTED_TAG] = cut(",".join(omitted), MAX_TAG)
    return replace(
        run,
        name=cut(_storable(run.name), MAX_KEY),
        tags=kept,
        params={key: cut(value, MAX_PARAM) for key, value in params.items()},
        metrics={_key(key): value for key, value in run.metrics.items()},
        artifacts=artifacts,
    )


def _clean(values: Mapping[str, str]) -> dict[str, str]:
    return {_key(key): _storable(value) for key, value in values.items()}


def _key(key: str) -> str:
    return _NOT_IN_KEYS.sub("_", _storable(key))[:MAX_KEY]


def _storable(text: str) -> str:
    """Replace lone surrogates, which are no UTF-8, and NUL, which PostgreSQL does not store."""
    return text.encode(errors="replace").decode().replace("\0", "�")
