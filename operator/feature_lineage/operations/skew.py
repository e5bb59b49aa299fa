"""Training-serving skew: whether the online store serves the values that training would get."""

from typing import Annotated, Final

from pydantic import Field

from feature_lineage.operations.message import Count, Message, Moment
from feature_lineage.untrusted import Name

MAX_WHY: Final = 500
"""Characters of the reason why values were not compared."""


class FeatureSkew(Message):
    """The compared values of one column.

    Attributes:
        column: as Feast answers it.
        compared: values of the online store that were compared.
        differing: of these, values that differ from those of the source.
        late: of these, values whose row of the source came, or changed, after it was written.
    """

    column: Name
    compared: Count = 0
    differing: Count = 0
    late: Count = 0

    @property
    def ratio(self) -> float:
        """Share of the compared values that differ; 0 without any."""
        return self.differing / self.compared if self.compared else 0.0


class SkewAnswer(Message):
    """The values of one retrieval beside those of a retrieval for training.

    Attributes:
        at: when they were compared.
        compared, differing, late: of all columns, see `FeatureSkew`.
        worst: the column with the largest share of differing values; None if none was compared.
        why: why values were not compared; "" if all columns were.
    """

    at: Moment
    compared: Count = 0
    differing: Count = 0
    late: Count = 0
    worst: FeatureSkew | None = None
    why: Annotated[str, Field(max_length=MAX_WHY)] = ""


def skew_after(
    last: SkewAnswer | None, in_a_row: int, newer: SkewAnswer | None
) -> tuple[SkewAnswer | None, int]:
    """The comparison that counts, and how many ones in a row found differing values.

    A comparison that compared nothing leaves a confirmed finding as it is.

    Args:
        last, in_a_row: what counted before.
        newer: of the last probe; None if it did not compare.
    """
    if newer is None or (in_a_row > 1 and not newer.compared):
        return last, in_a_row
    return newer, in_a_row + 1 if newer.differing else 0
