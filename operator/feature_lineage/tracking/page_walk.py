"""Reads all pages of a listing: requests smaller pages if one is too large, and limits the rows."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, TypeVar

from feature_lineage.errors import RequestRejected
from feature_lineage.tracking.mlflow_errors import ANSWER_TOO_LARGE

MAX_ROWS: Final = 200_000
"""Rows of one listing: more than one process can keep, or an answer without end."""
MAX_PAGES: Final = 1000
"""Pages of one listing: a server may answer with empty pages without end."""

Row = TypeVar("Row")
AskPage = Callable[[int, str], Awaitable[tuple[list[Row], str]]]
"""Called with the number of rows and the token of the page; returns the rows and the next token."""


async def pages(ask: AskPage[Row], size: int) -> AsyncIterator[list[Row]]:
    """Every page of a listing.

    Args:
        ask: requests one page.
        size: rows of a page; halved each time that an answer is too large.

    Raises:
        RequestRejected: one row is too large, or there are more than `MAX_ROWS` rows or `MAX_PAGES`
            pages.
    """
    token, read, asked = "", 0, 0
    while asked == 0 or token:
        try:
            rows, token = await ask(size, token)
        except RequestRejected as error:
            if error.error_code != ANSWER_TOO_LARGE or size == 1:
                raise
            size = size // 2
            continue
        read, asked = read + len(rows), asked + 1
        if read > MAX_ROWS or asked > MAX_PAGES:
            limit = f"{MAX_ROWS} rows" if read > MAX_ROWS else f"{MAX_PAGES} pages"
            raise RequestRejected(
                f"a listing of MLflow has more than {limit}; it is not read",
                error_code=ANSWER_TOO_LARGE,
            )
        yield rows
