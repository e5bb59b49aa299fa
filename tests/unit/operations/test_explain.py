"""The message of a blocked plan: the commit, the feature, the models, the next step."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_lineage.features.diff import Change, ChangeClass
from feature_lineage.kube.kube_events import shortened
from feature_lineage.models.verdicts import BREAKING, Problem, ProblemKind
from feature_lineage.operations.explain import (
    describe,
    explain,
    explain_applied_impacts,
    short_revision,
)
from feature_lineage.operations.plan import Plan, PlanVerdict
from feature_lineage.operations.protection import Impact

DIGEST = "0123456789abcdef" * 4
COMMIT = "3f2c1ab9d8e7" + "0" * 28
GONE = Problem("stats:conv_rate", ProblemKind.FEATURE_GONE, "FLOAT")
LATER = Problem("stats:acc_rate", ProblemKind.SOURCE_CHANGED, "a", "b")


def blocked(*impacts: Impact, reason: str = "Blocked", **fields: tuple[str, ...]) -> Plan:
    return Plan(DIGEST, PlanVerdict.BLOCKED, impacts=impacts, reason=reason, **fields)


def impact(name: str = "driver_model", *problems: Problem) -> Impact:
    return Impact(name, "3", ("champion", "prod"), problems or (GONE,))


def test_a_breaking_commit() -> None:
    assert explain(blocked(impact()), COMMIT) == (
        "commit 3f2c1ab9d8e7 is not applied: it would affect 1 protected model version: "
        "driver_model v3 (@champion, @prod): stats:conv_rate is gone. Change the commit, move the "
        'aliases, or annotate featurelineage.io/allow-breaking: "0123456789ab: <why>"'
    )


def test_a_service_that_is_protected_without_a_model() -> None:
    gone = Problem("ranking", ProblemKind.SERVICE_GONE, "service ranking")
    renamed = Problem("ranking", ProblemKind.COLUMN_RENAMED, "a__x", "b__x")
    service = Impact("", "", (), (gone,), "ranking")
    way_out = "remove the protection of the service in an earlier commit, or annotate"

    alone = explain(blocked(service), COMMIT)
    assert "affect 1 protected feature service: feature service ranking is gone. Change" in alone
    assert f"Change the commit, {way_out}" in alone
    both = explain(blocked(impact(), Impact("", "", (), (renamed,), "ranking")), COMMIT)
    assert "affect 1 protected model version and 1 protected feature service: driver_model" in both
    assert "; feature service ranking: ranking changes the name of a column from a__x" in both
    assert f"Change the commit, move the aliases and {way_out}" in both


@pytest.mark.parametrize(
    ("kind", "was", "now", "phrase"),
    [
        (ProblemKind.JOIN_KEYS_CHANGED, "", "id INT64", "join keys from none to id INT64"),
        (ProblemKind.JOIN_KEYS_CHANGED, "a, " * 20, "id", f"join keys from {'a, ' * 19}a, to id"),
        (ProblemKind.SOURCE_CHANGED, "a#1234abcd", "a#5678abcd", "the definition of source a"),
        (ProblemKind.SOURCE_CHANGED, "a", "b", "source from a to b"),
    ],
)
def test_a_difference_has_what_people_wrote(
    kind: ProblemKind, was: str, now: str, phrase: str
) -> None:
    assert describe(Problem("stats:x", kind, was, now)) == f"stats:x changes {phrase}"


def test_the_worst_comes_first() -> None:
    text = explain(blocked(impact("a_changed", LATER), impact("z_broken", LATER, GONE)), COMMIT)

    assert text.index("z_broken v3 (@champion, @prod): stats:conv_rate is gone and 1 more") < (
        text.index("a_changed v3 (@champion, @prod): stats:acc_rate changes source")
    )


def allowed(*impacts: Impact, by: str = "apply.protection.mode: Warn permits the change") -> Plan:
    return Plan(DIGEST, PlanVerdict.ALLOWED, impacts=impacts, let_through=by)


def test_permitted_impacts_name_their_permission() -> None:
    assert explain_applied_impacts(allowed(impact("changed", LATER), impact()), COMMIT) == (
        "commit 3f2c1ab9d8e7 is applied and affects 2 protected model versions: driver_model v3"
        " (@champion, @prod): stats:conv_rate is gone; changed v3 (@champion, @prod):"
        " stats:acc_rate changes source from a to b."
        " apply.protection.mode: Warn permits the change."
    )


@pytest.mark.parametrize("why", ["why ", "согласовано ", "承認済み"])
def test_what_let_harm_through_survives_the_cap_of_an_event(why: str) -> None:
    many = (impact(f"model_{number}") for number in range(40))
    text = explain_applied_impacts(allowed(*many, by=f"It was permitted: {why * 200}"), COMMIT)

    assert shortened(text) == text
    assert re.search(rf" and \d+ more\. It was permitted: {why}.*…\.$", text)


def test_impacts_without_a_known_permission_are_reported() -> None:
    assert explain_applied_impacts(allowed(impact(), by=""), COMMIT).endswith(
        ": stats:conv_rate is gone."
    )


def test_a_plan_without_impacts_has_no_message() -> None:
    assert explain_applied_impacts(Plan(DIGEST, PlanVerdict.ALLOWED), COMMIT) == ""


def test_models_whose_features_are_not_known() -> None:
    assert (
        "the features of 2 protected model versions are not known, so it may break a/1, b/2."
    ) in explain(blocked(unknown_models=("a/1", "b/2")), COMMIT)


def test_unknown_models_beside_known_ones() -> None:
    text = explain(blocked(impact(), unknown_models=("a/1",)), COMMIT)

    assert "; the features of 1 more protected model version are not known." in text


def test_a_plan_of_a_folder_is_of_a_revision_and_of_no_commit() -> None:
    digest = "sha256:" + "3f2c1ab9d8e7" + "0" * 52

    assert explain(blocked(impact()), digest).startswith(
        "revision sha256:3f2c1ab9d8e7 is not applied: "
    )
    assert explain(blocked(impact()), COMMIT, planning=True).startswith(
        "commit 3f2c1ab9d8e7 would not be applied: "
    )


def test_an_adoption() -> None:
    text = explain(
        blocked(reason="AdoptionWouldDelete", adoption_deletes=("feature_view/stats", "entity/d")),
        COMMIT,
    )

    assert text == (
        "commit 3f2c1ab9d8e7 is not applied: its first apply to this registry would delete"
        " objects that others applied (2): feature_view/stats, entity/d. Add them to the"
        " repo, set apply.prune to false, or annotate"
        ' featurelineage.io/allow-adoption: "0123456789ab: <why>"'
    )


def test_an_empty_registry_names_the_models() -> None:
    plan = blocked(reason="RegistryEmpty", named_by=("a/1", "b/2"))

    assert explain(plan, COMMIT) == (
        "commit 3f2c1ab9d8e7 is not applied: the registry has no feature view of this project, "
        "but MLflow has 2 protected model versions of the project: a/1, b/2. Name the registry of "
        "these models in feature_store.yaml, or restore it. To start with an empty registry, "
        'annotate featurelineage.io/allow-adoption: "0123456789ab: <why>"'
    )


def test_the_own_registry_was_emptied() -> None:
    plan = blocked(reason="RegistryEmpty", named_by=("a/1",), emptied=True)

    assert explain(plan, COMMIT) == (
        "commit 3f2c1ab9d8e7 is not applied: the registry of this project was emptied or lost "
        "since the last apply, and MLflow has 1 protected model version of the project: a/1. "
        "Restore the registry if it was lost. To start with an empty registry, "
        'annotate featurelineage.io/allow-adoption: "0123456789ab: <why>"'
    )


def test_an_emptied_repo_lists_what_it_deletes() -> None:
    changes = (
        Change("feature_view", "stats", ChangeClass.DELETED),
        Change("feature_view", "stats", ChangeClass.DELETED, "x"),
    )
    plan = replace(blocked(reason="RepoEmptied"), changes=changes)

    assert explain(plan, COMMIT) == (
        "commit 3f2c1ab9d8e7 is not applied: the repository defines no feature view, so the apply "
        "would delete all views of the project and what uses them (1): feature_view/stats. Check "
        "the path and the branch of the source, delete the project with deletionPolicy Delete, or "
        'annotate featurelineage.io/allow-adoption: "0123456789ab: <why>"'
    )


def test_adoption_that_breaks_names_both_annotations() -> None:
    plan = blocked(impact(), reason="AdoptionWouldDelete", adoption_deletes=("entity/d",))

    assert "also affect 1 protected model version: see featurelineage.io/allow-breaking" in (
        explain(plan, COMMIT)
    )


@pytest.mark.parametrize(
    ("deletes", "also"),
    [
        ((), ""),
        (("entity/d",), "; this plan would delete objects (1): entity/d"),
    ],
)
def test_a_project_of_another_resource(deletes: tuple[str, ...], also: str) -> None:
    text = explain(blocked(reason="ProjectOwnedByOther", adoption_deletes=deletes), COMMIT)

    assert text == (
        "commit 3f2c1ab9d8e7 is not applied: another resource applied this project to this"
        f" registry{also}. Use another project or registry, or annotate"
        ' featurelineage.io/allow-adoption: "0123456789ab: <why>"'
    )


def test_facts_that_are_too_old() -> None:
    assert explain(blocked(reason="GuardUnavailable"), COMMIT).endswith(
        "are too old to decide. The operator tries again when MLflow answers."
    )


@pytest.mark.parametrize(
    ("given_", "mentioned"),
    [
        pytest.param("feedfacecafe", True, id="a permission for another plan is pointed out"),
        pytest.param("0123456789ab", False, id="one for this plan is not"),
        pytest.param("", False, id="none is not"),
    ],
)
def test_permissions_for_other_plans(given_: str, mentioned: bool) -> None:
    text = explain(blocked(impact()), COMMIT, overrides=[given_])

    assert mentioned is ("The permission given for plan feedfacecafe is not for this plan." in text)


@pytest.mark.parametrize("verdict", [PlanVerdict.CLEAN, PlanVerdict.ALLOWED])
def test_a_plan_that_is_not_blocked_needs_no_words(verdict: PlanVerdict) -> None:
    assert explain(Plan(DIGEST, verdict), COMMIT) == ""


@pytest.mark.parametrize("kind", list(ProblemKind))
def test_every_problem_has_a_phrase_that_names_the_feature(kind: ProblemKind) -> None:
    phrase = describe(Problem("stats:conv_rate", kind, "FLOAT", "STRING"))

    assert "stats:conv_rate" in phrase
    assert any(
        words in phrase for words in ("gone", "changes", "serve", "disabled", "refuses", "more")
    )
    assert ("changes type from FLOAT to STRING" in phrase) is (kind is ProblemKind.TYPE_CHANGED)


@pytest.mark.parametrize(
    ("revision", "expected"),
    [
        pytest.param(COMMIT, "3f2c1ab9d8e7", id="a commit"),
        pytest.param("sha256:" + "ab" * 32, "sha256:abababababab", id="a tree"),
        pytest.param("v1.2", "v1.2", id="anything else"),
        pytest.param("", "of unknown revision", id="nothing"),
    ],
)
def test_revisions_are_quoted_short(revision: str, expected: str) -> None:
    assert expected == short_revision(revision)


names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=400)
problems = st.builds(Problem, names, st.sampled_from(ProblemKind), names, names)
impacts = st.builds(
    Impact,
    names,
    names,
    st.lists(names, max_size=3).map(tuple),
    st.lists(problems, min_size=1, max_size=5).map(tuple),
)


@given(
    st.lists(impacts, max_size=60),
    st.lists(names, max_size=60),
    st.lists(names, max_size=60),
    st.sampled_from(["Blocked", "AdoptionWouldDelete", "ProjectOwnedByOther"]),
    st.one_of(st.just(COMMIT), names),
)
def test_message_is_one_short_line_with_the_next_step(
    hurt: list[Impact], unknown: list[str], deletes: list[str], reason: str, revision: str
) -> None:
    plan = blocked(
        *hurt, reason=reason, unknown_models=tuple(unknown), adoption_deletes=tuple(deletes)
    )

    text = explain(plan, revision, overrides=["feedfacecafe"])

    assert len(text) <= 1024
    assert "\n" not in text
    assert re.search(r'annotate featurelineage\.io/allow-\w+: "0123456789ab: <why>"$', text)


def test_a_message_says_how_many_it_leaves_out() -> None:
    text = explain(blocked(*(impact(f"model_{number:04}") for number in range(1000))), COMMIT)

    shown = text.count("is gone")
    assert shown > 5
    assert f" and {1000 - shown} more. Change" in text
    assert "affect 1000 protected model versions" in text


def test_breaking_kinds_and_the_rest_cover_all_kinds() -> None:
    assert set(ProblemKind) > BREAKING
