"""The plan that a person reads: one summary, each cause once, nothing cut without its number."""

import pytest

from feature_lineage.cli.plan_text import MAX_NAMES, plan_lines, summary
from feature_lineage.features.diff import Change, ChangeClass
from feature_lineage.models.problems import Problem, ProblemKind
from feature_lineage.operations.plan import Plan, PlanVerdict
from feature_lineage.operations.protection import Impact

VIEW = "feature_view"
GONE = ProblemKind.FEATURE_GONE


def plan(*changes: Change, impacts: tuple[Impact, ...] = (), **fields: object) -> Plan:
    verdict = fields.pop("verdict", PlanVerdict.BLOCKED)
    return Plan("0" * 64, verdict, changes, impacts, **fields)  # type: ignore[arg-type]


def texts(made: Plan) -> list[str]:
    return [line.text for line in plan_lines(made)]


def model(number: int, *problems: Problem) -> Impact:
    return Impact(f"m{number:02}", "1", ("champion",), problems)


def test_the_summary_counts_objects_and_models() -> None:
    made = plan(
        Change(VIEW, "new", ChangeClass.CREATED),
        Change(VIEW, "old", ChangeClass.DELETED),
        Change(VIEW, "stats", ChangeClass.CREATED, "x", "", "FLOAT"),
        Change(VIEW, "stats", ChangeClass.TTL_CHANGED, "", "7d", "1d"),
        impacts=(
            model(1, Problem("old:x", ProblemKind.VIEW_GONE)),
            model(2, Problem("stats:y", ProblemKind.TTL_CHANGED, "7d", "1d")),
        ),
    )

    assert summary(made) == (
        "1 to create, 1 to change, 1 to delete; 2 protected model versions: 1 broken, 1 changed."
    )
    assert texts(made)[0] == summary(made)


def test_no_changes() -> None:
    made = plan(verdict=PlanVerdict.CLEAN)

    assert texts(made) == ["No changes: the registry matches the repository."]


def test_an_entity_is_one_cause_with_its_views() -> None:
    keys = ProblemKind.JOIN_KEYS_CHANGED
    found = [model(n, Problem(f"{v}:x", keys, "id INT64", "id STRING")) for n, v in enumerate("st")]

    cause, models = texts(plan(impacts=tuple(found)))[3:5]

    assert cause == "  Broken: the join keys of 2 views change from id INT64 to id STRING (s, t)"
    assert models == "    m00 v1 (@champion), m01 v1 (@champion)"


def test_a_cause_names_its_features_and_models_once() -> None:
    ttl = tuple(Problem(f"s:{name}", ProblemKind.TTL_CHANGED, "7d", "1d") for name in "ab")
    derived = Problem("d:sum", ProblemKind.SOURCE_CHANGED, "input s:a", "s:a differs")

    title, cause, models = texts(plan(impacts=(model(1, *ttl), model(2, *ttl, derived))))[2:]

    assert title == "Affected models, by cause:"
    assert cause == (
        "  Changed: s changes TTL from 7d to 1d: values older than 1d are not served any more"
        " (2 features: a, b; computed from them: d:sum)"
    )
    assert models == "    m01 v1 (@champion), m02 v1 (@champion)"


@pytest.mark.parametrize(
    ("was", "now", "effect"),
    [
        ("7d", "30d", "values older than 7d are served, too"),
        ("7d", "none", "values older than 7d are served, too"),
        ("none", "7d", "values older than 7d are not served any more"),
        ("36h", "1d", "values older than 1d are not served any more"),
    ],
)
def test_a_ttl_says_what_the_model_gets(was: str, now: str, effect: str) -> None:
    problem = Problem("s:a", ProblemKind.TTL_CHANGED, was, now)

    assert f"  Changed: s:a changes TTL from {was} to {now}: {effect}" in (
        texts(plan(impacts=(model(1, problem),)))
    )


def test_what_is_left_out_is_counted() -> None:
    problems = tuple(Problem(f"s:f{number:02}", GONE, "FLOAT") for number in range(15))
    models = tuple(model(number, *problems) for number in range(14))

    text = "\n".join(texts(plan(impacts=models, unknown_models=tuple(map(str, range(30))))))

    assert f"f{MAX_NAMES - 1:02} and 5 more" in text
    assert f"m{MAX_NAMES - 1:02} v1 (@champion) and 4 more" in text
    assert "Models whose features are not known: 0, 1, 2" in text
    assert " and 20 more" in text


def test_an_allowed_plan_says_what_let_it_through() -> None:
    made = plan(
        impacts=(model(1, Problem("s:a", GONE)),),
        verdict=PlanVerdict.ALLOWED,
        let_through="apply.protection.mode: Warn permits the change",
    )

    assert "  Not blocked: apply.protection.mode: Warn permits the change." in texts(made)


def test_a_changed_function_is_shown_as_a_diff() -> None:
    change = Change(
        VIEW, "plus", ChangeClass.TRANSFORMATION_CHANGED, code="@@ -1 +1 @@\n-a + 1\n+a + 2"
    )

    lines = {line.text: line.color for line in plan_lines(plan(change))}

    assert lines["  ~ feature_view plus  transformation"] == "yellow"
    assert lines["      -a + 1"] == "red"
    assert lines["      +a + 2"] == "green"


@pytest.mark.parametrize(
    ("kind", "was", "now", "values"),
    [
        (ChangeClass.JOIN_KEYS_CHANGED, "", "driver_id INT64", "none → driver_id INT64"),
        (ChangeClass.JOIN_KEYS_CHANGED, "driver_id INT64", "", "driver_id INT64 → none"),
        (ChangeClass.SOURCE_CHANGED, "s:a INT64", "", "s:a INT64 → none"),
        (ChangeClass.SOURCE_CHANGED, "a", "b", "a → b"),
        (ChangeClass.SOURCE_CHANGED, "a#1234abcd", "a#5678abcd", "a, whose definition changes"),
        (ChangeClass.SOURCE_CHANGED, "", "path: a → b", "path: a → b"),
        (ChangeClass.TTL_CHANGED, "none", "7d", "none → 7d"),
    ],
)
def test_a_change_has_the_old_and_the_new_value(
    kind: ChangeClass, was: str, now: str, values: str
) -> None:
    line = texts(plan(Change(VIEW, "stats", kind, "", was, now)))[-1]

    what = {"JoinKeysChanged": "join keys", "SourceChanged": "source", "TTLChanged": "TTL"}[kind]
    assert line == f"  ~ {VIEW} stats  {what} {values}"
