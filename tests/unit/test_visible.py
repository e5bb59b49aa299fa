"""No control character from outside reaches a condition, an Event, a log line or the console."""

import io
import json
import logging
import sys
import unicodedata
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from feature_lineage.api.conditions import ProjectCondition
from feature_lineage.cli.main import Cli
from feature_lineage.cli.plan import _print
from feature_lineage.cli.show import _section
from feature_lineage.cli.text import print_table
from feature_lineage.decide.condition_set import ConditionSet
from feature_lineage.decide.facts import Event, Key
from feature_lineage.errors import RequestRejected
from feature_lineage.features.diff import Change, ChangeClass
from feature_lineage.kube.kube_events import shortened
from feature_lineage.kube.logs import JsonFormatter, TextFormatter
from feature_lineage.local.console import PlainConsole
from feature_lineage.local.live import LiveConsole
from feature_lineage.local.plans import Planned
from feature_lineage.models.problems import Problem, ProblemKind
from feature_lineage.operations.doubts import Doubt, PlanWarning
from feature_lineage.operations.ops_run_builder import MAX_TAG, _line
from feature_lineage.operations.plan import Plan, PlanVerdict
from feature_lineage.operations.protection import Impact
from feature_lineage.shorten import visible, visible_lines

KEY = Key("FeatureStoreProject", "default", "driver")
NOW = datetime(2026, 7, 1, tzinfo=UTC)
CONTROLS = [
    char
    for char in map(chr, range(sys.maxunicode + 1))
    if unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp")
]
HOSTILE = st.text(st.sampled_from(CONTROLS) | st.characters(), max_size=60)


def raw(text: str, layout: str = "") -> set[str]:
    """The control characters of a text that would reach a terminal."""
    return set(text) & (set(CONTROLS) - set(layout))


@given(HOSTILE)
def test_text_has_no_control_characters(text: str) -> None:
    shown = visible(text)

    assert shown.isprintable()
    assert not raw(shown)
    assert visible(shown) == shown
    if text.isprintable():
        assert shown == text


def test_each_control_character_has_its_own_escape() -> None:
    assert len({visible(char) for char in CONTROLS}) == len(CONTROLS)
    assert visible("a\x1b[31mb\n\u202ec\x85") == r"a\x1b[31mb\n\u202ec\x85"
    assert visible("\ud800") == r"\ud800"


@given(HOSTILE)
def test_layout_of_lines_is_kept(text: str) -> None:
    shown = visible_lines(text)

    assert not raw(shown, "\n\t")
    assert shown.count("\n") == text.count("\n")


@given(HOSTILE)
def test_condition_messages(text: str) -> None:
    conditions = ConditionSet((), NOW, 1)
    conditions.true(ProjectCondition.READY, "Succeeded", text)
    conditions.only_while(ProjectCondition.STALLED, True, "Blocked", text)

    for condition in conditions.values:
        assert not raw(condition.message)


@given(HOSTILE)
def test_events(text: str) -> None:
    event = Event(KEY, "Warning", "Blocked", text)

    assert not raw(event.message)
    assert not raw(shortened(event.message))


@given(HOSTILE)
def test_log_lines(text: str) -> None:
    error = RuntimeError(text)
    record = logging.LogRecord("x", logging.WARNING, __file__, 1, "model %s", (text,), None)
    plain, as_json = TextFormatter().format(record), JsonFormatter().format(record)
    record.exc_info = (type(error), error, None)
    traced = TextFormatter().format(record)

    assert not raw(plain)
    assert not raw(as_json)
    assert not raw(json.loads(as_json)["message"])
    assert not raw(traced, "\n\t")
    assert not raw(JsonFormatter().format(record))


@given(HOSTILE)
def test_console_lines(text: str) -> None:
    out = io.StringIO(newline="")
    console = PlainConsole(out)
    console.event(Event(KEY, "Warning", "Blocked", text))
    console.failed(KEY, RequestRejected(text), 5)

    first, second, end = out.getvalue().split("\n")
    assert end == ""
    assert not raw(first)
    assert not raw(second)


@given(HOSTILE)
def test_other_lines_of_the_console(text: str) -> None:
    out = io.StringIO(newline="")
    PlainConsole(out).line(f"= {text}")

    assert not raw(out.getvalue(), "\n\t")


def test_tables(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([["NAME", "MESSAGE"], ["m\nx", "\x1b[2J\u202e"]])

    assert capsys.readouterr().out == "NAME   MESSAGE\n" + r"m\nx   \x1b[2J\u202e" + "\n"


BELL = "\a\u202e\x9b2J"
"""Control characters that click does not remove."""


def test_lines_above_the_live_lines(capsys: pytest.CaptureFixture[str]) -> None:
    LiveConsole().line(f"= {BELL}")

    assert r"\x07\u202e\x9b2J" in capsys.readouterr().err


def test_error_of_a_command() -> None:
    cli = Cli("x")

    @cli.command()
    def refused() -> None:
        raise RequestRejected(BELL)

    assert CliRunner().invoke(cli, ["refused"]).output == "Error: " + r"\x07\u202e\x9b2J" + "\n"


def test_sections_of_describe(capsys: pytest.CaptureFixture[str]) -> None:
    _section("Status", {"name": "\u202ex"})  # YAML writes this one as it is

    assert not raw(capsys.readouterr().out, "\n")


def test_plans(capsys: pytest.CaptureFixture[str]) -> None:
    change = Change("feature_view", BELL, ChangeClass.DELETED)
    aliases = (BELL,)
    impact = Impact(BELL, BELL, aliases, (Problem(BELL, ProblemKind.VIEW_GONE),))
    plan = Plan("0" * 64, PlanVerdict.BLOCKED, (change,), (impact,), reason="Blocked")
    for planned in (
        Planned(KEY, "a" * 40, plan, warnings=(PlanWarning(Doubt.OTHER, BELL),)),
        Planned(KEY, "", None, problem=f"one\n{BELL}"),
    ):
        _print(planned)
        out = capsys.readouterr().out

        assert r"\x07\u202e\x9b2J" in out
        assert not raw(out, "\n")


def test_tags_of_ops_runs() -> None:
    assert _line(f"a\n{BELL}") == r"a \x07\u202e\x9b2J"
    assert len(_line("\a" * MAX_TAG)) == MAX_TAG
