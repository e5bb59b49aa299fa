"""`make audit`, with a pip-audit that answers as the real one does in each of the three cases."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.e2e.images import CHECKOUT

LOCKS = {"audit", "dev", "operator", "runner"}
FOUND = "Name     Version ID            Fix Versions\nrequests 2.19.0  PYSEC-2018-28 2.20.0"
UNKNOWN = "ERROR:pip_audit._cli:yarl: Dependency not found on PyPI and could not be audited: yarl"


@pytest.fixture
def pip_audit(tmp_path: Path) -> Path:
    """A program that prints `out` and `err`, and exits with `status`: files beside it."""
    program = tmp_path / "pip-audit"
    program.write_text(
        '#!/bin/sh\ncd "$(dirname "$0")"\nprintf "%s\\n" "$@" >arguments\n'
        "cat out\ncat err >&2\nexit $(cat status)\n"
    )
    program.chmod(0o755)
    return program


def audit(
    program: Path, status: int, out: str, err: str, *options: str
) -> subprocess.CompletedProcess[str]:
    for name, text in {"out": out, "err": err, "status": str(status)}.items():
        (program.parent / name).write_text(text)
    return subprocess.run(
        [CHECKOUT / "requirements" / "audit", program, *options],
        capture_output=True,
        text=True,
        timeout=60,
    )


def today() -> str:
    return f"audit of {datetime.now(UTC):%Y-%m-%d}: "


def test_a_clean_audit_has_its_date_and_the_locks(pip_audit: Path) -> None:
    before = today()
    done = audit(pip_audit, 0, "", "No known vulnerabilities found", "-s", "osv")

    assert done.returncode == 0
    assert done.stdout.startswith((before, today()))
    assert "no known vulnerability" in done.stdout
    arguments = (pip_audit.parent / "arguments").read_text().splitlines()
    assert arguments[-2:] == ["-s", "osv"]
    assert "--strict" in arguments  # without it, a package that the database does not know passes
    locks = {word.partition("=")[2] for word in arguments if word.startswith("--requirement=")}
    assert locks == {*(f"requirements/{lock}.txt" for lock in LOCKS), "images/tools.txt"}


def test_vulnerabilities_are_printed(pip_audit: Path) -> None:
    done = audit(pip_audit, 1, FOUND, "Found 1 known vulnerability in 1 package")

    assert done.returncode == 1
    assert FOUND in done.stdout
    assert "have known vulnerabilities" in done.stdout


def test_a_database_that_does_not_answer_is_not_a_clean_audit(pip_audit: Path) -> None:
    done = audit(pip_audit, 1, "", UNKNOWN)

    assert (done.returncode, done.stdout) == (2, "")
    assert UNKNOWN in done.stderr
    assert "this audit says nothing" in done.stderr
