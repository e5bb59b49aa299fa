"""A listing is read page by page, in smaller pages where one is too large, and not without end."""

from collections.abc import AsyncIterator

import pytest

from feature_lineage.errors import RequestRejected
from feature_lineage.tracking import page_walk
from feature_lineage.tracking.mlflow_errors import ANSWER_TOO_LARGE
from feature_lineage.tracking.page_walk import pages


class Listing:
    """Rows of one size each, behind a server that answers with at most so many bytes."""

    def __init__(self, sizes: list[int], most: int) -> None:
        self.sizes = sizes
        self.most = most
        self.asked: list[tuple[int, str]] = []

    async def ask(self, size: int, token: str) -> tuple[list[int], str]:
        self.asked.append((size, token))
        start = int(token or 0)
        page = self.sizes[start : start + size]
        if sum(page) > self.most:
            raise RequestRejected("too large", error_code=ANSWER_TOO_LARGE)
        end = start + size
        return page, str(end) if end < len(self.sizes) else ""


async def rows(listing: AsyncIterator[list[int]]) -> list[int]:
    return [row async for page in listing for row in page]


async def test_an_empty_listing_is_one_request() -> None:
    listing = Listing([], 1)

    assert await rows(pages(listing.ask, 10)) == []
    assert listing.asked == [(10, "")]


async def test_a_page_that_is_too_large_is_asked_for_again_in_halves() -> None:
    listing = Listing([1] * 10 + [30] + [1] * 10, 33)

    assert await rows(pages(listing.ask, 8)) == listing.sizes
    assert listing.asked == [(8, ""), (8, "8"), (4, "8"), (4, "12"), (4, "16"), (4, "20")]


async def test_one_row_that_is_too_large_is_an_error() -> None:
    listing = Listing([1, 100], 32)
    with pytest.raises(RequestRejected) as caught:
        await rows(pages(listing.ask, 8))

    assert caught.value.error_code == ANSWER_TOO_LARGE
    assert [size for size, _ in listing.asked] == [8, 4, 2, 1, 1]


async def test_an_error_of_another_kind_is_not_asked_again() -> None:
    async def ask(size: int, token: str) -> tuple[list[int], str]:
        raise RequestRejected("no", error_code="INVALID_PARAMETER_VALUE")

    with pytest.raises(RequestRejected, match="no"):
        await rows(pages(ask, 8))


@pytest.mark.parametrize(
    ("page", "limit", "words", "most"),
    [
        ([1] * 8, "MAX_ROWS", "more than 50 rows", 7),
        ([], "MAX_PAGES", "more than 50 pages", 51),
    ],
    ids=["rows", "empty pages"],
)
async def test_a_listing_without_end_is_an_error(
    page: list[int], limit: str, words: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_walk, limit, 50)

    asked: list[str] = []

    async def ask(size: int, token: str) -> tuple[list[int], str]:
        asked.append(token)
        return page, "more"

    with pytest.raises(RequestRejected, match=words) as caught:
        await rows(pages(ask, 8))
    assert caught.value.error_code == ANSWER_TOO_LARGE
    assert len(asked) == most
