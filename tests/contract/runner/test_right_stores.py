"""Generated stores that are right raise no alarm. `make probed-stores` tries 200 of them."""

import os
from datetime import timedelta
from typing import Final

import pytest
from tests.contract.runner.generated_stores import UNTIL, GeneratedStore
from tests.contract.runner.harness import Zygote, request
from tests.contract.runner.repos import NOW, Repo
from tests.servers.feature_server import start_feature_server

from feature_lineage.api.enums import ProbeSkew
from feature_lineage.operations.job_report import Outcome
from feature_lineage.operations.probe_answer import ProbeAnswer
from feature_lineage.operations.probe_record import ProbeRecord
from feature_lineage.operations.probe_request import ProbeRequest
from feature_lineage.operations.protocol import MaterializeRequest
from feature_lineage.reasons import Reason

STORES: Final = int(os.environ.get("PROBED_STORES", "10"))
GOOD: Final = frozenset({Reason.SUCCEEDED, Reason.NOT_PROBED})


def materialize(repo: Repo, zygote: Zygote, record: ProbeRecord, *ends: object) -> ProbeRecord:
    window = MaterializeRequest(all_views_start=ends[0], all_views_end=ends[1], sampled_keys=100)
    report = zygote.run(request("materialize", repo.path, window))
    assert report.outcome is Outcome.SUCCEEDED, report.message
    sampled = {view.name: view.keys for view in report.views if view.keys is not None}
    return record.with_keys(sampled, {view.name for view in report.views})


def probe(
    repo: Repo, zygote: Zygote, store: GeneratedStore, record: ProbeRecord, server: str = ""
) -> int:
    """Probe with a comparison; returns how many values were compared.

    Args:
        server: address of a feature server that is asked, too.
    """
    order = ProbeRequest(
        questions=tuple(store.questions),
        keys=record.keys,
        most=100,
        skew=ProbeSkew.OFF if server else ProbeSkew.AUTO,
        server=server,
    )
    report = zygote.run(request("probe", repo.path, order))
    assert report.outcome is Outcome.SUCCEEDED, report.message
    bad: list[ProbeAnswer] = [each for each in report.answers if each.finding not in GOOD]
    assert not bad, (bad, store.code)
    if server:
        return sum(each.server.compared for each in report.answers if each.server is not None)
    skews = [answer.skew for answer in report.answers if answer.skew is not None]
    assert len(skews) == len(store.questions)
    errors = [skew.why for skew in skews if "Error" in skew.why or "failed" in skew.why]
    assert not errors, store.code
    return sum(skew.compared for skew in skews)


@pytest.mark.parametrize("seed", range(STORES))
def test_a_store_that_is_right_is_served(repo: Repo, zygote: Zygote, seed: int) -> None:
    store = GeneratedStore(seed)
    store.write(repo)
    applied = zygote.run(request("apply", repo.write(store.code).path))
    assert applied.outcome is Outcome.SUCCEEDED, (applied.message, store.code)
    record = materialize(repo, zygote, ProbeRecord(), NOW - timedelta(days=90), UNTIL)

    compared = probe(repo, zygote, store, record)
    written = [view for view in store.views if view.name in record.keys]
    assert compared or all(view.ttl == 24 for view in written), "nothing was compared"

    store.come_late()
    store.write(repo)
    probe(repo, zygote, store, record)
    record = materialize(repo, zygote, record, UNTIL, NOW)
    probe(repo, zygote, store, record)


@pytest.mark.parametrize("seed", range(100, 100 + STORES // 5))
def test_a_feature_server_of_a_right_store(repo: Repo, zygote: Zygote, seed: int) -> None:
    store = GeneratedStore(seed)
    store.write(repo)
    applied = zygote.run(request("apply", repo.write(store.code).path))
    assert applied.outcome is Outcome.SUCCEEDED, (applied.message, store.code)
    record = materialize(repo, zygote, ProbeRecord(), NOW - timedelta(days=90), UNTIL)

    with start_feature_server(repo.path) as url:
        assert probe(repo, zygote, store, record, url) > 0
