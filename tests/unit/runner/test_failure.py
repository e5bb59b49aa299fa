"""The cause and the place of a failure, in one line."""

from pathlib import Path

import pytest

from feature_lineage.runner.failure import repo_fault


def run(text: str, tmp_path: Path, name: str = "deep/views.py") -> str:
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    with pytest.raises(BaseException) as caught:  # noqa: PT011  sys.exit as well
        exec(compile(text, str(file), "exec"), {})
    return repo_fault(caught.value, tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = (", "deep/views.py:1: SyntaxError: '(' was never closed"),
        ("\nint('a\\nb')", "deep/views.py:2: ValueError: invalid literal for int() with base 10"),
        ("import json\njson.loads('{')", "deep/views.py:2: JSONDecodeError: "),
        ("import a_b_c.d", "deep/views.py:1: there is no module named 'a_b_c': add 'a_b_c' to"),
        ("raise SystemExit('x')", "deep/views.py:1: the repo's code calls sys.exit('x')"),
        ("raise Exception", "deep/views.py:1: Exception"),
        ("raise Exception('y' * 9000)", "deep/views.py:1: Exception: yyy"),
    ],
)
def test_repo_fault(text: str, message: str, tmp_path: Path) -> None:
    said = run(text, tmp_path)

    assert said.startswith(message)
    assert "\n" not in said
    assert len(said) < 700


def test_a_fault_that_never_touched_the_repo() -> None:
    assert repo_fault(ValueError("two views"), Path("/nowhere")) == "ValueError: two views"
