"""Source code is compared by its meaning."""

import pytest

from feature_lineage.runner.syntax import code_digest

TEXT = "@deco(sources=[a])\ndef f(df):\n    x = 'a'\n    return df[x] + 1\n"


@pytest.mark.parametrize(
    "same",
    [
        TEXT.replace("'", '"'),
        TEXT.replace("    x", "\n    # why\n    x"),
        TEXT.replace("df[x] + 1", "(df[x]\n            + 1)"),
        "    " + TEXT.replace("\n", "\n    "),
    ],
)
def test_the_same(same: str) -> None:
    assert code_digest(same) == code_digest(TEXT)


@pytest.mark.parametrize(
    "other",
    [TEXT.replace("+ 1", "- 1"), TEXT.replace("[a]", "[b]"), TEXT.replace("'a'", "b'a'")],
)
def test_not_the_same(other: str) -> None:
    assert code_digest(other) != code_digest(TEXT)


def test_what_does_not_parse_is_compared_as_text() -> None:
    assert code_digest("lambda x: x,\n") == code_digest("lambda x: x,  \n\n")
    assert code_digest("lambda x: x,") != code_digest("lambda x: y,")
    assert code_digest("lambda\0") != code_digest("lambda")


def test_the_digest_stays_over_python_versions() -> None:
    """`syntax` must not change with the interpreter: digests are compared over years."""
    assert code_digest(TEXT)[:8] == "e9f8ba63"
