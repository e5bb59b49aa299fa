"""Entity keys with which a probe asks the online store.

Materializations report keys that they wrote. Where somebody else materializes, they are those of
the newest rows of the source.
"""

from typing import Annotated, Final

from pydantic import Field

from feature_lineage.operations.message import Message, Moment
from feature_lineage.untrusted import Many, Name

MAX_KEYS: Final = 1000
"""Keys of one view, and of one retrieval."""
MAX_SAMPLED: Final = 5_000
"""Keys of all views of one materialization."""
MAX_TEXT: Final = 200
"""Longest text of a key."""

KeyValue = bool | int | Annotated[str, Field(max_length=MAX_TEXT)]


class SampledKey(Message):
    """A key that a materialization wrote, or should have written.

    Attributes:
        values: of the join keys, in the order of `SampledKeys.columns`.
        at: event timestamp of the row.
        nulls: features without a value in the row.
    """

    values: Annotated[tuple[KeyValue, ...], Field(max_length=20)]
    at: Moment
    nulls: Many[Name] = ()


class SampledKeys(Message):
    """Keys of a view.

    Attributes:
        columns: join keys of the view.
        features: that were written.
        keys: those with the newest rows first.
    """

    columns: Annotated[tuple[Name, ...], Field(max_length=20)]
    features: Many[Name] = ()
    keys: Many[SampledKey] = Field((), max_length=MAX_KEYS)

    def after(self, newer: "SampledKeys") -> "SampledKeys":
        """The keys after another materialization, which may have written few rows, or old ones."""
        if (newer.columns, newer.features) != (self.columns, self.features):
            return newer
        rows = {key.values: key for key in newer.keys}
        for key in self.keys:
            if key.values not in rows or rows[key.values].at < key.at:
                rows[key.values] = key
        newest = sorted(rows.values(), key=lambda key: key.at, reverse=True)
        most = max(len(self.keys), len(newer.keys))
        return newer.model_copy(update={"keys": tuple(newest[:most])})


class SourceKeys(Message):
    """What a probe read from the source of a view that somebody else materializes.

    Attributes:
        keys: of rows that are not newer than the watermark of the view; None without such rows.
        error: why the source was not read, on one line; "" if it was.
    """

    view: Name
    keys: SampledKeys | None = None
    error: Annotated[str, Field(max_length=300)] = ""
