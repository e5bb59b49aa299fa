"""The limits of MLflow, and how longer values are stored."""

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from feature_lineage.operations.records import OpsRun
from feature_lineage.tracking.truncation import (
    FULL_VALUES_ARTIFACT,
    MAX_PARAM,
    MAX_TAG,
    OMITTED_TAG,
    truncated,
)

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def ops(**more: Any) -> OpsRun:
    return OpsRun("id", "p-feast-ops", "apply", NOW, NOW, "FINISHED", **more)


def test_what_fits_is_left_as_it_is() -> None:
    run = ops(tags={"a": "x" * MAX_TAG}, params={"b": "y" * MAX_PARAM}, artifacts={"c": "z"})

    assert truncated(run) == run


def test_long_values_are_cut_and_stored_whole_in_an_artifact() -> None:
    found = truncated(ops(tags={"note": "x" * 9000}, params={"p": "y" * 7000}))

    assert (len(found.tags["note"]), found.tags["note"][-1]) == (MAX_TAG, "…")
    assert (len(found.params["p"]), found.params["p"][-1]) == (MAX_PARAM, "…")
    full = json.loads(found.artifacts[FULL_VALUES_ARTIFACT])
    assert full == {"tags": {"note": "x" * 9000}, "params": {"p": "y" * 7000}}


def test_a_list_of_feasts_is_left_out_and_named_rather_than_cut() -> None:
    refs = ",".join(f"view:feature_{i}" for i in range(1000))

    found = truncated(ops(tags={"feast.feature_refs": refs}))

    assert found.tags == {OMITTED_TAG: "feast.feature_refs"}
    assert json.loads(found.artifacts[FULL_VALUES_ARTIFACT])["tags"]["feast.feature_refs"] == refs


@given(
    st.dictionaries(st.text(st.characters(), min_size=1), st.text(st.characters())),
    st.text(st.characters()),
)
def test_whatever_a_job_reports_can_be_stored(values: dict[str, str], text: str) -> None:
    found = truncated(ops(tags=values, params=values, artifacts={"a": text}))

    for stored in (*found.tags.items(), *found.params.items(), *found.artifacts.items()):
        for part in stored:
            assert "\0" not in part
            part.encode()
