"""Cuts texts to a number of characters; an ellipsis stands for the rest."""


def cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def one_line(text: str, limit: int) -> str:
    """The words of a text on one line."""
    return cut(" ".join(text.split()), limit)
