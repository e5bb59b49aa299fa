"""Hears of views that Feast silently leaves out of a materialization.

Feast prints that it skips an on-demand view with `write_to_online_store`, and returns as if the
view had no rows.
"""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, Final, TextIO, cast

from feature_lineage.runner.windows import NotMaterializableError

_SKIPPED: Final = re.compile(
    r"\[WARNING\] ODFV \S+ materialization: (.*?)\.?(?: Skipping|$)", re.MULTILINE
)


class _Heard:
    """Passes on what is printed, and keeps what Feast says about a view that it skips.

    For everything else it is the stream itself: a transformation may need its `fileno`.
    """

    def __init__(self, out: TextIO) -> None:
        self._out, self.why = out, ""

    def write(self, text: str) -> int:
        if (found := _SKIPPED.search(text)) is not None:
            self.why = found[1]
        return self._out.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._out, name)


@contextmanager
def refusing_skips() -> Iterator[None]:
    """Raise if Feast skips a view meanwhile.

    Raises:
        NotMaterializableError: with the words of Feast.
    """
    heard = _Heard(sys.stdout)
    with redirect_stdout(cast("TextIO", heard)):
        yield
    if heard.why:
        raise NotMaterializableError(f"Feast does not materialize this view: {heard.why}")
