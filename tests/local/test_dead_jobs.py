"""A job dies while it materializes a view: Feast serves the view again without another schedule."""

import json
from pathlib import Path

import pytest
from tests.forks.client import output_of
from tests.local.conftest import run_once
from tests.local.scene import FEATURES, backfill, project_manifest, write_repo, write_yaml
from tests.local.state_reader import read_state

DEADLY = """
from feast import BatchFeatureView

def obey(frame):
    import os, signal
    if open("{order}").read() == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    return frame

deadly = BatchFeatureView(
    name="deadly", entities=[driver], schema=[Field(name="trips", dtype=Int64)], source=source,
    ttl=timedelta(days=365), mode="pandas", udf=obey, udf_string="obey", online=True,
)
"""
SERVE = """
import json, sys
from feast import FeatureStore
store = FeatureStore(sys.argv[1])
print(json.dumps(store.get_online_features(["deadly:trips"], [{"driver_id": 1003}]).to_dict()))
"""


def served(repo: Path) -> str:
    said = output_of("-c", SERVE, str(repo), cwd=repo)
    return str(json.loads(said.splitlines()[-1])["trips"])


@pytest.mark.real_processes
@pytest.mark.slow
async def test_what_a_dead_job_left_is_put_back_at_once(tmp_path: Path) -> None:
    order = tmp_path / "order"
    order.write_text("work")
    repo = write_repo(tmp_path / "repo", "dead", FEATURES + DEADLY.format(order=order))
    first, second = backfill("first"), backfill("second")
    spec = {"runtime": {"retries": 0}, "freshness": {"maxAge": "7d"}}
    write_yaml(tmp_path / "m.yaml", project_manifest("dead", backfills=[first], **spec))
    assert await run_once(tmp_path)
    assert served(repo) == "[14]"

    order.write_text("die")
    write_yaml(tmp_path / "m.yaml", project_manifest("dead", backfills=[first, second], **spec))
    await run_once(tmp_path)

    status = read_state(tmp_path)
    newest, dead = status.status["operations"][:2]
    assert (dead["kind"], dead["result"], dead["backfill"]) == ("Backfill", "Failed", "second")
    assert (newest["kind"], newest["result"]) == ("Materialize", "Succeeded")
    view = status.view("deadly")
    assert view["lastResult"] == "Failed"
    assert view.keys().isdisjoint({"stateBefore", "notServed"})
    assert served(repo) == "[14]"
