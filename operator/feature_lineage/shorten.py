"""Texts for people: cut to a number of characters, and without control characters."""

from collections.abc import Sequence


def cut(text: str, limit: int) -> str:
    """The text, with an ellipsis in place of what exceeds the limit."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def one_line(text: str, limit: int) -> str:
    """The words of a text on one line."""
    return cut(" ".join(text.split()), limit)


def listed(items: Sequence[str], most: int, separator: str = ", ") -> str:
    """The first items, and the number of those that are left out: ``a, b and 3 more``."""
    left = len(items) - most
    return separator.join(items[:most]) + (f" and {left} more" if left > 0 else "")


def visible(text: str, keep: str = "") -> str:
    """The text with an escape such as `\\x1b` or `\\n` for each character that does not print.

    Names and messages of models, reports, MLflow and Git may contain terminal sequences, newlines
    and marks that reverse the direction of the text. Each condition message, Event and log line
    passes this function.

    Args:
        keep: characters that are not escaped.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else _escape(c) for c in text)


def visible_lines(text: str) -> str:
    """As `visible`, for a text whose newlines and tabs are its layout."""
    return visible(text, keep="\n\t")


def _escape(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")
