"""An empty registry that models name, and an emptied repo: nothing changes without permission."""

from datetime import UTC, datetime

import pytest
from tests.contract.runner.conftest import Build
from tests.contract.runner.harness import Zygote, request
from tests.contract.runner.repos import Repo
from tests.contract.runner.test_changes import KINDS

from feature_lineage.operations.job_report import ExitCode, Outcome
from feature_lineage.operations.plan import PlanVerdict
from feature_lineage.operations.protection import Guard
from feature_lineage.operations.protocol import ApplyRequest, PlanOverride


def guarded() -> ApplyRequest:
    """A guard with a version whose features are not known: no impact can be computed for it."""
    return ApplyRequest(guard=Guard(datetime.now(UTC), unknown=("driver_model/3",)))


def permitted(digest: str, asked: ApplyRequest) -> ApplyRequest:
    given = PlanOverride(plan_digest=digest, why="it moved")
    return asked.model_copy(update={"allow_adoption": given})


@pytest.mark.parametrize("kind", KINDS)
def test_a_registry_that_models_name_is_not_created(
    kind: str, build: Build, zygote: Zygote
) -> None:
    repo = build(kind).views(a="trips:Int64")
    before = repo.stores.registry_state()
    asked = guarded()

    for command in ("plan", "apply"):
        stopped = zygote.run(request(command, repo.path, asked))
        assert (stopped.outcome, stopped.reason) == (Outcome.BLOCKED, "RegistryEmpty"), command
        assert stopped.exit_code == ExitCode.TERMINAL
        assert "but MLflow has 1 protected model version of the project: driver_model/3." in (
            stopped.message
        )
        assert repo.stores.registry_state() == before

    assert stopped.plan
    assert f'allow-adoption: "{stopped.plan.digest[:12]}: <why>"' in stopped.message
    allowed = zygote.run(request("apply", repo.path, permitted(stopped.plan.digest, asked)))
    assert allowed.outcome is Outcome.SUCCEEDED, allowed.message
    assert repo.stores.tables("ranking") == {"a"}
    later = zygote.run(request("apply", repo.views(a="trips:Int64", b="x:Int64").path, asked))
    assert later.outcome is Outcome.SUCCEEDED, "now it has views"


def test_another_project_does_not_fill_the_registry(build: Build, zygote: Zygote) -> None:
    other = build("sqlite").views(a="trips:Int64")
    zygote.run(request("apply", other.path))
    text = other.yaml().replace("project: ranking", "project: other")
    (other.path / "feature_store.yaml").write_text(text)

    stopped = zygote.run(request("plan", other.path, guarded(), project="other"))

    assert stopped.reason == "RegistryEmpty", stopped.message


def test_an_emptied_repo_deletes_nothing(build: Build, zygote: Zygote) -> None:
    repo = build("file").views(a="trips:Int64", b="trips:Int64")
    ours = ApplyRequest(adopted=zygote.run(request("apply", repo.path)).registry_id)
    before = repo.stores.registry_state()
    (repo.path / "features.py").write_text("")

    stopped = zygote.run(request("apply", repo.path, ours))

    assert (stopped.outcome, stopped.reason) == (Outcome.BLOCKED, "RepoEmptied")
    assert "the repository defines no feature view" in stopped.message
    assert "feature_view/a, feature_view/b" in stopped.message
    assert repo.stores.registry_state() == before
    assert repo.stores.tables("ranking") == {"a", "b"}

    assert stopped.plan
    through = zygote.run(request("apply", repo.path, permitted(stopped.plan.digest, ours)))
    assert through.plan
    assert through.plan.verdict is PlanVerdict.ALLOWED
    assert through.plan.let_through.endswith("allow-adoption permits the change: it moved")
    assert repo.stores.tables("ranking") == set()

    (repo.path / "features.py").write_text("")
    again = ours.model_copy(update={"guard": guarded().guard})
    alone = zygote.run(request("apply", repo.path, again))
    assert alone.outcome is Outcome.SUCCEEDED, alone.message
    back = zygote.run(request("apply", repo.views(a="trips:Int64").path, again))
    assert (back.outcome, back.reason) == (Outcome.BLOCKED, "RegistryEmpty")
    assert "the registry of this project was emptied or lost since the last apply" in back.message


def test_a_plan_says_which_code_it_cannot_compare(repo: Repo, zygote: Zygote) -> None:
    applied = zygote.run(request("apply", repo.rich().path))
    assert applied.snapshot

    alone = zygote.run(request("plan", repo.path))
    (warning,) = (text for text in alone.warnings if text.startswith("CodeUnknown: "))
    assert warning.endswith(": batched, plus, streamed")

    known = ApplyRequest(closures=dict(applied.snapshot.closures))
    assert zygote.run(request("plan", repo.path, known)).warnings == ()
