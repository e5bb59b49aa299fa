"""Which changes of a project make its models reconcile."""

from typing import Any

import pytest
from tests.unit.metrics.build import at, project

from feature_lineage.decide.facts import Key
from feature_lineage.reconcile.dependents import Dependents

MODEL = Key("TrainedModel", "ml", "champion")


class _References:
    def models_of(self, project: Key) -> list[Key]:
        return [MODEL]


def probe(number: int, result: str) -> dict[str, Any]:
    return {
        "id": f"probe-{number}",
        "kind": "Probe",
        "result": result,
        "finishedAt": at(minutes=10 - number),
    }


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([], [probe(1, "Failed")]),
        ([probe(1, "Failed")], [probe(2, "Failed"), probe(1, "Failed")]),
        ([probe(1, "Failed")], [probe(2, "Succeeded"), probe(1, "Failed")]),
    ],
)
def test_a_failed_probe_is_news_for_the_models(
    before: list[dict[str, Any]], after: list[dict[str, Any]]
) -> None:
    dependents = Dependents(_References())
    dependents.after(project(operations=before))

    assert dependents.after(project(operations=after)) == [MODEL]


@pytest.mark.parametrize("result", ["Failed", "Succeeded"])
def test_an_old_probe_is_no_news_for_the_models(result: str) -> None:
    """Of a probe that succeeded, the digest of its record says what is new."""
    dependents = Dependents(_References())
    dependents.after(project(operations=[probe(1, result)]))

    assert dependents.after(project(operations=[probe(1, result)])) == []
