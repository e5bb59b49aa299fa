"""A feature service is protected without a model: by its tag, or by the globs of the project."""

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.contract.runner.conftest import Build
from tests.contract.runner.harness import Zygote, request
from tests.contract.runner.repos import Repo
from tests.contract.runner.routes import CHANGES, ROUTES
from tests.contract.runner.test_dry_retrieval import FUNCTION, NOT_GLOBAL, REPO

from feature_lineage.api.project_spec import ServiceFilter
from feature_lineage.operations.job_report import JobReport, Outcome
from feature_lineage.operations.protection import Guard
from feature_lineage.operations.protocol import ApplyRequest, DeleteRequest, PlanOverride

RANKING = ServiceFilter(include=("rank*",))
SERVICE = 'ranking = FeatureService(name="ranking", features=[trips[["trips"]], sums])\n'
TAGGED = SERVICE.replace("sums]", 'sums], tags={"featurelineage.io/protected": "true"}')


def policy(services: ServiceFilter | None = RANKING, **fields: Any) -> ApplyRequest:
    """The request of a project without MLflow."""
    return ApplyRequest(services=services, **fields)


def apply(repo: Repo, zygote: Zygote, asked: ApplyRequest | None = None) -> JobReport:
    return zygote.run(request("apply", repo.path, asked or policy(), owner="us"))


def applied(
    repo: Repo, zygote: Zygote, text: str = REPO, asked: ApplyRequest | None = None
) -> None:
    report = apply(repo.write(text), zygote, asked)
    assert report.outcome is Outcome.SUCCEEDED, report.message


def problems(report: JobReport) -> dict[str, set[str]]:
    assert report.plan is not None, report.message
    return {
        impact.service: {str(problem.kind) for problem in impact.problems}
        for impact in report.plan.impacts
    }


BREAKS = {
    "the service is deleted": ((SERVICE, ""), {"ServiceGone"}, "feature service ranking is gone"),
    "a column is gone": (
        (
            'ranking = FeatureService(name="ranking", features=[trips[["trips"]], sums])',
            'ranking = FeatureService(name="ranking", features=[trips[["trips"]]])',
        ),
        {"FeatureGone"},
        "sums:plus is gone",
    ),
    "the view is disabled": (
        ("days=7),", "days=7), enabled=False,"),
        {"ViewDisabled", "ServingFails"},
        "Feature view 'trips' is disabled",
    ),
    "a key has another name": (
        ('join_keys=["driver_id"]', 'join_keys=["city_id"]'),
        {"JoinKeysChanged", "SourceChanged"},
        "changes join keys",
    ),
    "only the staged retrieval fails": (
        (FUNCTION, NOT_GLOBAL),
        {"ServingFails", "TransformationChanged"},
        "name 'Int64' is not defined",
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_break_of_a_service_is_held(repo: Repo, zygote: Zygote, name: str) -> None:
    (old, new), kinds, words = BREAKS[name]
    applied(repo, zygote)
    before = repo.stores.registry_state()
    report = apply(repo.edit(old, new), zygote)

    assert (report.outcome, report.reason) == (Outcome.BLOCKED, "Blocked"), report.message
    assert problems(report)["ranking"] == kinds
    assert "it would affect 1 protected feature service: " in report.message
    assert "feature service ranking" in report.message
    assert words in report.message
    assert repo.stores.registry_state() == before


def test_a_service_that_is_not_selected_is_not_held(repo: Repo, zygote: Zygote) -> None:
    others = policy(ServiceFilter(include=("*",), exclude=("rank*",)))
    applied(repo, zygote, asked=others)
    report = apply(repo.edit(SERVICE, ""), zygote, others)

    assert report.outcome is Outcome.SUCCEEDED, report.message
    assert problems(report) == {}


def test_harmless_changes_of_a_protected_service_pass(repo: Repo, zygote: Zygote) -> None:
    applied(repo, zygote, asked=policy(block_on=("Broken", "Changed")))
    repo.edit("features=[trips", 'description="ranks", owner="us", features=[trips')
    repo.edit("Float64)],", 'Float64), Field(name="new", dtype=Int64)],')
    report = apply(repo, zygote, policy(block_on=("Broken", "Changed")))

    assert report.outcome is Outcome.SUCCEEDED, report.message
    assert report.plan
    assert (report.plan.verdict, report.plan.impacts) == ("Clean", ())


def test_a_changed_source_is_said_and_held_only_by_blockon(repo: Repo, zygote: Zygote) -> None:
    applied(repo, zygote)
    repo.edit("days=7)", "days=6)")
    held = zygote.run(request("plan", repo.path, policy(block_on=("Broken", "Changed"))))
    report = apply(repo, zygote)

    assert held.outcome is Outcome.BLOCKED
    assert report.plan
    assert (report.outcome, report.plan.verdict) == (Outcome.SUCCEEDED, "Allowed")
    assert problems(report) == {"ranking": {"TTLChanged", "SourceChanged"}}
    assert "blockOn: [Broken] permits the change" in report.plan.let_through


@pytest.mark.parametrize("mode", ["Warn", "Off"])
def test_the_mode_counts_for_services_too(repo: Repo, zygote: Zygote, mode: Any) -> None:
    applied(repo, zygote)
    report = apply(repo.edit(SERVICE, ""), zygote, policy(protection=mode))

    assert report.outcome is Outcome.SUCCEEDED, report.message
    assert problems(report) == ({"ranking": {"ServiceGone"}} if mode == "Warn" else {})


def test_a_permission_for_the_plan_lets_it_through(repo: Repo, zygote: Zygote) -> None:
    applied(repo, zygote)
    held = apply(repo.edit(SERVICE, ""), zygote)
    assert held.plan
    permission = PlanOverride(plan_digest=held.plan.digest[:12], why="nobody asks for it")
    report = apply(repo, zygote, policy(allow_breaking=permission))

    assert report.plan
    assert (report.outcome, report.plan.verdict) == (Outcome.SUCCEEDED, "Allowed")
    assert "permits the change: nobody asks for it" in report.plan.let_through
    assert problems(report) == {"ranking": {"ServiceGone"}}


@pytest.mark.parametrize("kind", ["file", "sqlite", "postgres"])
def test_globs_that_leave_with_the_service_still_hold(
    build: Build, zygote: Zygote, kind: str
) -> None:
    repo = build(kind)
    applied(repo, zygote)
    held = apply(repo.edit(SERVICE, ""), zygote, policy(None))
    assert held.outcome is Outcome.BLOCKED, held.message
    assert "remove the protection of the service in an earlier commit" in held.message

    applied(repo, zygote, REPO, policy(None))
    report = apply(repo.edit(SERVICE, ""), zygote, policy(None))
    assert report.outcome is Outcome.SUCCEEDED, report.message


def test_a_tag_protects_until_it_was_removed_by_an_apply(repo: Repo, zygote: Zygote) -> None:
    applied(repo, zygote, REPO.replace(SERVICE, TAGGED), policy(None))
    held = apply(repo.edit(TAGGED, ""), zygote, policy(None))
    assert held.outcome is Outcome.BLOCKED, held.message
    assert problems(held) == {"ranking": {"ServiceGone"}}

    applied(repo, zygote, REPO, policy(None))
    assert apply(repo.edit(SERVICE, ""), zygote, policy(None)).outcome is Outcome.SUCCEEDED


def test_an_exclude_that_comes_with_the_deletion_does_not_count(repo: Repo, zygote: Zygote) -> None:
    excluded = policy(ServiceFilter(exclude=("ranking",)))
    applied(repo, zygote, REPO.replace(SERVICE, TAGGED), policy(None))
    held = apply(repo.edit(TAGGED, ""), zygote, excluded)
    assert held.outcome is Outcome.BLOCKED, held.message

    applied(repo, zygote, REPO.replace(SERVICE, TAGGED), excluded)
    assert apply(repo.edit(TAGGED, ""), zygote, excluded).outcome is Outcome.SUCCEEDED


def test_an_exclude_that_leaves_with_a_deletion_does_not_count(repo: Repo, zygote: Zygote) -> None:
    applied(
        repo, zygote, REPO.replace(SERVICE, TAGGED), policy(ServiceFilter(exclude=("ranking",)))
    )
    held = apply(repo.edit(TAGGED, ""), zygote, policy(None))
    assert held.outcome is Outcome.BLOCKED, held.message


def test_exclude_wins_over_the_tag(repo: Repo, zygote: Zygote) -> None:
    platform = policy(ServiceFilter(exclude=("ranking",)))
    applied(repo, zygote, REPO.replace(SERVICE, TAGGED), platform)
    assert apply(repo.edit(TAGGED, ""), zygote, platform).outcome is Outcome.SUCCEEDED


def test_protection_that_protects_nothing_is_said(repo: Repo, zygote: Zygote) -> None:
    text = REPO.replace(SERVICE, TAGGED.replace('"true"', '"yes"'))
    typo = policy(ServiceFilter(include=("rankng", "later-*", "ranking")))
    report = zygote.run(request("plan", repo.write(text).path, typo))

    assert report.outcome is Outcome.PLANNED, report.message
    nothing = "matches no feature service, so it protects nothing until there is one"
    assert all(warning.startswith("ProtectsNothing: ") for warning in report.warnings)
    typo_glob, later, tag = (warning.partition(": ")[2] for warning in report.warnings)
    include = "apply.protection.services.include"
    assert typo_glob == f"{include}: 'rankng' {nothing}; did you mean ranking?"
    assert later == f"{include}: 'later-*' {nothing}"
    assert tag.startswith("feature service 'ranking' is not protected: its tag featurelineage.io/")
    assert "is 'yes'; write \"true\"" in tag


def test_a_record_that_another_tool_wrote_is_no_obstacle(repo: Repo, zygote: Zygote) -> None:
    forged = 'Project(name="ranking", tags={"featurelineage.io/protected-services": "[1, {"})\n'
    text = REPO.replace("    Entity,", "    Entity, Project,")
    applied(repo, zygote, f"{text}\nproject = {forged}", policy(None))
    assert apply(repo.edit(SERVICE, ""), zygote, policy(None)).outcome is Outcome.SUCCEEDED


def test_a_project_with_a_protected_service_is_not_deleted(repo: Repo, zygote: Zygote) -> None:
    applied(repo, zygote)
    held = zygote.run(request("delete", repo.path, DeleteRequest(), owner="us"))
    assert (held.outcome, held.reason) == (Outcome.BLOCKED, "DeletionBlocked")
    assert "feature services of this project are protected: ranking; to delete them" in held.message

    both = DeleteRequest(guard=Guard(datetime.now(UTC), unknown=("driver_model/3",)))
    held = zygote.run(request("delete", repo.path, both, owner="us"))
    assert held.message == (
        "protected model versions use this project: driver_model/3; feature services of this "
        "project are protected: ranking; to delete the project all the same, annotate "
        'featurelineage.io/allow-delete: "<why>"'
    )

    allowed = DeleteRequest(allow="the project is retired")
    report = zygote.run(request("delete", repo.path, allowed, owner="us"))
    assert report.outcome is Outcome.SUCCEEDED, report.message


VIEWS = """
from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Int64

driver = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)
rows = FileSource(name="rows", path="data/stats.parquet", timestamp_field="event_timestamp")
def view(name):
    return FeatureView(
        name=name, entities=[driver], source=rows, schema=[Field(name="trips", dtype=Int64)]
    )
stats = view("stats")
ranking = FeatureService(name="ranking", features=[stats])
"""
COMPUTED = """
base = view("base")
@on_demand_feature_view(sources=[base], schema=[Field(name="trips", dtype=Int64)])
def stats(df):
    return df[["trips"]]
"""


@pytest.mark.parametrize("computed", [True, False], ids=["on-demand", "with rows of its own"])
def test_a_view_of_another_kind_with_the_same_columns_is_held(
    repo: Repo, zygote: Zygote, computed: bool
) -> None:
    """Feast serves it, without the rows that it served before; no key of the request changes."""
    texts = [VIEWS, VIEWS.replace('stats = view("stats")\n', COMPUTED)]
    before, after = texts if computed else reversed(texts)
    applied(repo, zygote, before)

    report = apply(repo.write(after), zygote)

    assert report.outcome is Outcome.BLOCKED
    found = problems(report)["ranking"]
    assert "ViewKindChanged" in found
    assert "JoinKeysChanged" not in found
    now = "on-demand view: the online rows" if computed else "feature view: no value is served"
    assert f" to {now}" in report.message


FEW = ("the maps are swapped", "another name in the service", "another order", "not online")


@pytest.mark.parametrize("name", FEW)
def test_a_service_is_compared_like_a_model(repo: Repo, zygote: Zygote, name: str) -> None:
    """`test_dry_retrieval` makes each change for a champion."""
    routes = policy(ServiceFilter(include=("routes",)))
    text, kinds = CHANGES[name]
    applied(repo, zygote, ROUTES, routes)
    report = apply(repo.write(text), zygote, routes)

    assert problems(report)["routes"] == kinds
