"""The tables of mutants fit the code, and the runner sees what becomes of a mutant."""

import ast
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.mutants.__main__ import is_chosen, main, report
from tests.mutants.table import ROOT, Mutant, read_tables
from tests.mutants.trial import copied
from tests.unit.docs.test_threat_model import defined_in

MUTANTS = read_tables()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.table}: {mutant.name}")
def test_a_mutant_fits_the_code(mutant: Mutant) -> None:
    changed = mutant.applied(ROOT)

    assert mutant.text != mutant.instead
    if mutant.file.endswith(".py"):
        ast.parse(changed)
    assert mutant.tests
    for name in mutant.tests:
        path, _, test = name.partition("::")
        assert test in defined_in(path), f"no test {test} in tests/{path}"


def test_no_two_mutants_have_one_name() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


def mutant(**fields: str) -> Mutant:
    values = {"text": "return 1", "instead": "return 2", **fields}
    return Mutant("t", "other", "operator/one.py", tests=("test_one.py::test_it",), **values)


@pytest.mark.parametrize(("text", "found"), [("return 3", 0), ("n", 2)])
def test_a_text_that_is_not_there_once_is_an_error(tmp_path: Path, text: str, found: int) -> None:
    (tmp_path / "operator").mkdir()
    (tmp_path / "operator/one.py").write_text("def one():\n    return 1\n")

    with pytest.raises(ValueError, match=rf"'{text}' is {found} times in .*tests/mutants/t\.toml"):
        mutant(text=text).applied(tmp_path)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with one module and one test, neither committed."""
    root = tmp_path / "checkout"
    for name, text in (
        ("operator/one.py", "def one():\n    return 1\n"),
        ("tests/test_one.py", "from one import one\ndef test_it():\n    assert one() == 1\n"),
        ("ignored/x", ""),
        (".gitignore", "ignored/\n"),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    subprocess.run(["git", "init", "-q", root], check=True)
    return root


@pytest.mark.parametrize(
    ("instead", "code", "says"),
    [
        ("return 2", 1, "other: caught by test_one.py::test_it\n1 of 1 mutants were caught"),
        ("return 2 - 1", 0, "other: SURVIVED: test_one.py::test_it passed\n0 of 1"),
        ("return (", 0, "other: BROKEN: the tests did not run to their end"),
    ],
    ids=["caught", "survived", "broken"],
)
def test_what_becomes_of_a_mutant(
    checkout: Path, capsys: pytest.CaptureFixture[str], instead: str, code: int, says: str
) -> None:
    with copied(checkout) as copy:
        assert report([mutant(instead=instead)], copy) == 1 - code
        assert not (copy.folder / "ignored").exists()

    assert says in capsys.readouterr().out
    assert not copy.folder.exists()
    assert (checkout / "operator/one.py").read_text() == "def one():\n    return 1\n"


def test_a_test_that_fails_before_catches_nothing(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (checkout / "operator/one.py").write_text("def one():\n    return 1 + 1\n")

    with copied(checkout) as copy:
        assert report([mutant()], copy) == 1

    assert "other: NOT TRIED: without the change fails test_one.py::test_it" in (
        capsys.readouterr().out
    )


def test_words_choose_mutants_by_name_or_table() -> None:
    one = mutant()

    assert is_chosen(one, [])
    assert is_chosen(one, ["nothing", "OTH"])
    assert is_chosen(one, ["t"])
    assert not is_chosen(one, ["nothing", "t2"])


def test_an_unknown_word_is_answered_with_the_tables(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["no such mutant"])

    assert "Tables: " in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.mutants", MUTANTS[0].name],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert "without a change" in process.stdout.readline()
    assert list(tmp_path.glob("mutants-*"))

    process.send_signal(number)

    _, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (130, "stopped\n")
    assert not list(tmp_path.iterdir())
