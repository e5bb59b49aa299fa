"""The benchmarks run; their results do not fail a test."""

import pytest
from benchmarks.__main__ import NAMES, PURE, benchmark, main
from benchmarks.measure import Row, Size, in_turn
from benchmarks.table import table


def test_quick_benchmarks_print_a_row_per_measurement(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--quick"]) == 0

    printed = capsys.readouterr().out
    assert all(f"\n{word} " in printed for word in ("index", "project", "scrape"))


@pytest.mark.parametrize("name", NAMES)
def test_every_name_leads_to_a_benchmark(name: str) -> None:
    assert callable(benchmark(name))


def test_an_unknown_name_is_answered_with_the_known_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["speed"])

    printed = capsys.readouterr().err
    assert all(name in printed for name in PURE)


def test_measurements_alternate_after_a_warm_up() -> None:
    taken: list[str] = []

    def side(name: str) -> str:
        taken.append(name)
        return f"{name}{len(taken)}"

    floor, ours = in_turn(Size(pairs=2), lambda: side("floor"), lambda: side("ours"))

    assert taken == ["floor", "ours"] * 3
    assert (floor, ours) == (["floor3", "floor5"], ["ours4", "ours6"])


def test_ratios_are_of_pairs() -> None:
    row = Row("x", ours=[2.0, 9.0], floor=[1.0, 3.0])

    assert row.ratios == [2.0, 3.0]


def test_a_ratio_and_a_value_may_both_have_a_goal() -> None:
    row = Row("both", ours=[0.15], floor=[0.05], against="bare", goal=2.0, limit=0.2)

    assert "2x MISSED, 200 ms met" in table([row])


def test_nothing_at_all_is_a_limit_as_well() -> None:
    rows = [Row("none", ours=[0.0], unit="writes", limit=0), Row("one", [1.0], limit=0)]

    lines = table(rows).splitlines()[1:]

    assert ["0 writes met" in lines[0], "MISSED" in lines[1]] == [True, True]


def test_a_goal_is_held_against_the_median_of_the_ratios() -> None:
    rows = [
        Row("fine", ours=[1.1, 1.1, 9.0], floor=[1.0, 1.0, 1.0], against="bare", goal=1.15),
        Row("slow", ours=[1.2, 1.2, 1.0], floor=[1.0, 1.0, 1.0], against="bare", goal=1.15),
        Row("big", ours=[300.0], unit="MB", limit=256.0),
    ]

    lines = table(rows).splitlines()[1:]

    assert ["1.15x met" in lines[0], "1.15x MISSED" in lines[1], "256 MB MISSED" in lines[2]] == [
        True,
        True,
        True,
    ]
