"""What the entries of a server give to a namespace and a Feast project."""

import re
import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.access import ENTRIES, entry

from feature_lineage.tracking.access import (
    AccessEntry,
    Permission,
    access_of,
    matches,
    project_of_experiment,
)

NAMES = st.text("ab_*.\n", max_size=6)
ENTRY = st.builds(
    lambda namespaces, projects, models, allow: AccessEntry(
        namespaces=namespaces, feast_projects=projects, models=models, allow=allow
    ),
    *(st.lists(st.text("ab_*", min_size=1, max_size=4), min_size=1, max_size=2),) * 3,
    st.lists(st.sampled_from(Permission), max_size=4),
)


def by_pattern(glob: str, name: str) -> bool:
    """The meaning of a glob, by a regular expression."""
    return bool(re.fullmatch(".*".join(map(re.escape, glob.split("*"))), name, re.DOTALL))


@given(NAMES, NAMES)
@example("ab*ba", "aba")
@example("a*b*b", "ab")
def test_only_a_star_is_special_and_matches_any_text(glob: str, name: str):
    assert matches(glob, name) is by_pattern(glob, name)


def test_a_glob_with_many_stars_needs_little_time():
    started = time.process_time()

    assert not matches("a*" * 100 + "b", "a" * 10_000)
    assert time.process_time() - started < 1


@given(
    st.lists(ENTRY, max_size=4),
    *(st.text("ab_", min_size=1, max_size=4),) * 3,
    st.sampled_from(Permission),
)
def test_an_access_is_the_union_of_the_entries_and_nothing_else(
    entries: list[AccessEntry], namespace: str, project: str, model: str, permission: Permission
):
    naming = [
        each
        for each in entries
        if any(by_pattern(glob, namespace) for glob in each.namespaces)
        and any(by_pattern(glob, project) for glob in each.feast_projects)
    ]
    seeing = [each for each in naming if any(by_pattern(glob, model) for glob in each.models)]
    access = access_of(entries, namespace, project)

    assert (access is not None) is bool(naming)
    if access is not None:
        assert access.sees(model) is bool(seeing)
        assert access.may(permission, model) is any(permission in each.allow for each in seeing)
        assert access.may_record is any(Permission.OPS_RUNS in each.allow for each in naming)


def test_without_an_entry_there_is_no_access():
    assert access_of((), "ml", "churn") is None
    assert access_of([entry(namespaces="ml-*")], "ml", "churn") is None
    assert access_of([entry(feastProjects="chur")], "ml", "churn") is None


def test_reading_is_part_of_every_entry_and_writing_of_none():
    access = access_of([entry(models="churn_*")], "ml", "churn")

    assert access is not None
    assert access.sees("churn_model")
    assert not access.sees("other")
    assert not any(access.may(each, "churn_model") for each in Permission)
    assert not access.may_record


def test_an_entry_for_one_model_gives_nothing_for_another():
    entries = [entry("Tags", models="churn_*"), entry("OpsRuns", models="driver_*")]
    access = access_of(entries, "ml", "churn")

    assert access is not None
    assert access.may(Permission.TAGS, "churn_model")
    assert access.sees("driver_model")
    assert not access.may(Permission.TAGS, "driver_model")
    assert access.may_record


def test_equal_entries_make_equal_accesses():
    one = access_of([*ENTRIES, entry(namespaces="other")], "ml", "churn")

    assert one == access_of([*ENTRIES, *ENTRIES], "fraud", "fraud")


@pytest.mark.parametrize("missing", ["namespaces", "feastProjects", "models"])
def test_an_entry_names_at_least_one_of_each(missing: str):
    with pytest.raises(ValidationError, match=missing):
        entry(**{missing: []})


def test_an_unknown_permission_is_an_error():
    with pytest.raises(ValidationError, match="allow"):
        entry("Everything")


@pytest.mark.parametrize(
    ("experiment", "project"),
    [
        ("churn-feast-ops", "churn"),
        ("churn_ranking-feast-ops", "churn_ranking"),
        ("churn/ops", "churn"),
        ("churnö", "churn"),
        ("", ""),
    ],
)
def test_an_experiment_belongs_to_the_longest_project_name(experiment: str, project: str):
    assert project_of_experiment(experiment) == project


def test_permissions_without_an_effect_are_described_so() -> None:
    root = Path(__file__).parents[3]
    chart = root / "charts/feature-lineage-operator"
    pages = [root / "docs" / f"{name}.md" for name in ("access", "install", "operations")]
    unused = (Permission.ALIASES, Permission.VERSIONS)
    code = (root / "operator").rglob("*.py")

    used = {each for path in code for each in unused if f"Permission.{each.name}" in _text(path)}
    for path in (*pages, chart / "README.md", chart / "values.yaml", chart / "values.schema.json"):
        told = [
            line for line in _text(path).splitlines() if "Aliases" in line and '"enum"' not in line
        ]
        assert told, path
        assert all("no effect" in line for line in told), path

    assert used == set()


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
