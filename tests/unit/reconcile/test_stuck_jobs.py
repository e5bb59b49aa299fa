"""A job that cannot begin says so in the project's conditions, for as long as it waits."""

import pytest
from tests.unit.reconcile.build import Play

from feature_lineage.ports import JobFacts


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("ImagePullFailed", "image runner:1: ErrImagePull: not found"),
        ("Unschedulable", "0/1 nodes are available: 1 Insufficient memory."),
    ],
)
def test_what_a_job_waits_for_is_told_until_it_begins(reason: str, message: str) -> None:
    play = Play()
    play.look()
    play.jobs[play.job] = JobFacts(running=True, reason=reason, message=message)

    play.look()
    for condition in ("Applied", "Ready", "Reconciling"):
        status, why = play.says(condition)
        assert (status, why) == ("True" if condition == "Reconciling" else "False", reason)
    assert message in play.condition("Applied").message
    assert play.says("Stalled") == ("", "")

    play.jobs[play.job] = JobFacts(running=True)
    play.look()
    assert play.says("Applied") == ("False", "Progressing")
