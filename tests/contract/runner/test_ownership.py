"""The owner record in the registry: who has applied owns, and only who can write there."""

import signal
from types import SimpleNamespace
from typing import Any

import pytest
from feast.protos.feast.core.Registry_pb2 import Registry
from tests.contract.runner.conftest import Build
from tests.contract.runner.harness import Zygote, request
from tests.contract.runner.repos import NOW, Repo
from tests.forks.client import output_of

from feature_lineage.operations.job_report import ExitCode, JobReport, Outcome
from feature_lineage.operations.plan import PlanVerdict
from feature_lineage.operations.protocol import (
    ApplyRequest,
    DeleteRequest,
    MaterializeRequest,
    PlanOverride,
)
from feature_lineage.runner import delete
from feature_lineage.runner.errors import SteppedBack

KINDS = ("file", "sqlite", "postgres")
FIRST = ApplyRequest(adopted="")
"""Of a resource that has not applied to any registry."""


def apply(
    zygote: Zygote, repo: Repo, owner: str, part: ApplyRequest = FIRST, *, refused: bool = False
) -> JobReport:
    return zygote.run(request("apply", repo.path, part, owner=owner, refused=refused))


def is_refused(report: JobReport) -> bool:
    return (report.reason, report.exit_code) == ("ProjectOwnedByOther", ExitCode.TERMINAL)


def permitted(report: JobReport) -> ApplyRequest:
    """The permission for the plan that was refused."""
    assert report.plan
    permission = PlanOverride(plan_digest=report.plan.digest[:12], why="we take it over")
    return ApplyRequest(adopted="", allow_adoption=permission)


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_to_apply_owns_the_project(kind: str, build: Build, zygote: Zygote) -> None:
    repo = build(kind).views(a="trips:Int64", b="trips:Int64")
    unmarked = zygote.run(request("plan", repo.path)).snapshot
    first = apply(zygote, repo, "ours")
    assert first.outcome is Outcome.SUCCEEDED, first.message
    before = repo.stores.registry_state()

    # Another resource, with another view: nothing changes, also not without new objects.
    same = apply(zygote, repo, "theirs")
    assert is_refused(same), same.message
    repo.views(a="trips:Int64", c="trips:Int64")
    refused = apply(zygote, repo, "theirs")
    assert is_refused(refused), refused.message
    assert refused.outcome is Outcome.BLOCKED
    assert refused.plan
    assert refused.plan.adoption_deletes == ("feature_view/b",)
    assert "another resource applied this project" in refused.message
    assert f'allow-adoption: "{refused.plan.digest[:12]}: <why>"' in refused.message
    assert "feature_view/b" in refused.message
    filled = MaterializeRequest(all_views_end=NOW)
    for job in (
        request("materialize", repo.path, filled, owner="theirs"),
        request("delete", repo.path, DeleteRequest(), owner="theirs"),
    ):
        assert is_refused(zygote.run(job)), job.kind
    assert repo.stores.registry_state() == before
    assert repo.stores.tables("ranking") == {"a", "b"}

    # Reads and plans change nothing, and tell what the credentials of the registry tell anyway.
    planned = zygote.run(request("plan", repo.path, ApplyRequest(), owner="theirs"))
    assert planned.outcome is Outcome.PLANNED
    assert zygote.run(request("observe", repo.path, owner="theirs")).snapshot == first.snapshot

    # The record is not a definition: with it, the registry has the digest that it has without it.
    assert unmarked is not None
    assert first.snapshot is not None
    plain = build(kind, "plain").views(a="trips:Int64", b="trips:Int64")
    without = zygote.run(request("apply", plain.path, project="plain")).snapshot
    assert without is not None
    assert without.objects == first.snapshot.objects

    # The owner goes on, and what it writes keeps the record.
    assert zygote.run(request("materialize", repo.path, filled, owner="ours")).outcome is (
        Outcome.SUCCEEDED
    )
    assert is_refused(apply(zygote, repo, "theirs"))
    assert apply(zygote, repo, "ours").counts["deleted"] == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_permission_hands_the_project_over(kind: str, build: Build, zygote: Zygote) -> None:
    repo = build(kind).views(a="trips:Int64", b="trips:Int64")
    apply(zygote, repo, "ours")
    for views in ({"a": "trips:Int64"}, {"a": "trips:Int64"}):  # with and without a change
        repo.views(**views)
        refused = apply(zygote, repo, "theirs")

        taken = apply(zygote, repo, "theirs", permitted(refused), refused=True)

        assert taken.outcome is Outcome.SUCCEEDED, taken.message
        assert taken.plan
        assert taken.plan.verdict is PlanVerdict.ALLOWED
        back = apply(zygote, repo, "ours")
        assert is_refused(back)
        assert apply(zygote, repo, "ours", permitted(back)).outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize("kind", KINDS)
def test_a_deletion_releases_the_project(kind: str, build: Build, zygote: Zygote) -> None:
    repo = build(kind).views(a="trips:Int64")
    apply(zygote, repo, "ours")
    assert is_refused(apply(zygote, repo, "theirs"))

    gone = zygote.run(request("delete", repo.path, DeleteRequest(), owner="ours"))
    assert gone.outcome is Outcome.SUCCEEDED, gone.message

    assert apply(zygote, repo, "theirs", refused=True).outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize("kind", KINDS)
def test_a_registry_without_a_record(kind: str, build: Build, zygote: Zygote) -> None:
    """Applied by an earlier version, or by a person: the next apply writes the record."""
    repo = build(kind).views(a="trips:Int64")
    zygote.run(request("apply", repo.path))
    before = repo.stores.registry_state()

    # A resource that was refused before, as the younger of two, does not become the owner now.
    assert is_refused(apply(zygote, repo, "younger", refused=True))
    assert repo.stores.registry_state() == before

    found = apply(zygote, repo, "older")
    assert found.outcome is Outcome.SUCCEEDED, found.message
    assert set(found.counts.values()) == {0}
    assert is_refused(apply(zygote, repo, "younger"))

    # The apply of a person writes Feast's Project anew, without the record.
    feast(repo, "apply")
    assert is_refused(apply(zygote, repo, "younger", refused=True))
    assert apply(zygote, repo, "older").outcome is Outcome.SUCCEEDED
    assert is_refused(apply(zygote, repo, "younger"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_kill_after_the_record_was_written(kind: str, build: Build, zygote: Zygote) -> None:
    repo = build(kind).views(a="trips:Int64")
    after_commit: dict[str, Any] = {
        "target": "feature_lineage.runner.online:OnlineTables.drop",
        "when": "before",
    }
    job = request("apply", repo.path, FIRST, owner="ours")
    assert zygote.send(job, after_commit)["status"] == signal.SIGKILL

    assert is_refused(apply(zygote, repo, "theirs"))
    assert apply(zygote, repo, "ours").outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_that_appears_between_plan_and_commit(
    kind: str, build: Build, zygote: Zygote
) -> None:
    """The objects are the same, so only the record tells that another resource has applied."""
    repo = build(kind).views(a="trips:Int64")
    zygote.run(request("apply", repo.path))
    repo.views(a="trips:Int64", b="trips:Int64").write(
        """
        from feast import FeatureStore
        store = FeatureStore(".")
        project = store.get_project("ranking")
        project.tags = {"featurelineage.io/owner": "theirs"}
        store.registry.apply_project(project)
        """,
        "meddle.py",
    )

    report = apply(zygote, repo, "ours")
    assert (report.outcome, report.reason) == (Outcome.STEPPED_BACK, "RegistryMoved")

    (repo.path / "meddle.py").unlink()
    assert is_refused(apply(zygote, repo, "ours"))
    left = zygote.run(request("observe", repo.path)).snapshot
    assert left is not None
    assert set(left.objects["feature_view"]) == {"a"}


def test_a_record_that_appears_before_a_deletion(build: Build, zygote: Zygote) -> None:
    repo = build("sqlite").views(a="trips:Int64")
    apply(zygote, repo, "theirs")
    before = repo.stores.registry_state()
    url = f"sqlite:///{repo.stores.folder}/registry.sqlite"
    registry = SimpleNamespace(path=url, sqlalchemy_config_kwargs={})

    with pytest.raises(SteppedBack, match="another writer changed the registry"):
        delete._delete_rows(registry, "ranking", "ours")
    assert repo.stores.registry_state() == before

    delete._delete_rows(registry, "ranking", "theirs")
    assert repo.stores.registry_state() != before


def test_the_tags_of_the_repo_stay(repo: Repo, zygote: Zygote) -> None:
    repo.views(a="trips:Int64").write(
        """
        from feast import Project
        project = Project(
            name="ranking", tags={"team": "rank", "featurelineage.io/owner": "forged"}
        )
        """,
        "project.py",
    )
    apply(zygote, repo, "ours")

    data = (repo.stores.folder / "registry.db").read_bytes()
    (project,) = Registry.FromString(data).projects
    assert dict(project.spec.tags) == {"team": "rank", "featurelineage.io/owner": "ours"}


def feast(repo: Repo, *arguments: str) -> None:
    output_of("-m", "feast.cli.cli", *arguments, cwd=repo.path)
