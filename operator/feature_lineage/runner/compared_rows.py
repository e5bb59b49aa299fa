"""The rows of a view that are compared, and how many of their values are what they should be."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from feature_lineage.operations.skew import MAX_WHY, FeatureSkew, SkewAnswer
from feature_lineage.runner.request_context import ViewRequest
from feature_lineage.shorten import one_line

STEP: Final = timedelta(microseconds=1)


@dataclass
class ComparedRows:
    """The rows of a view that are compared.

    Attributes:
        own: row → the event timestamp of the online store.
        nulls: row → features without a value when that row was written; rows of which that is not
            known are left out.
        until: the watermark.
    """

    view: ViewRequest
    own: dict[int, datetime]
    nulls: dict[int, tuple[str, ...]]
    until: datetime

    def moments(self, number: int) -> tuple[datetime, datetime]:
        """Of a row: a moment at which it is the newest one, and the watermark."""
        return self.own[number] + STEP, self.until


@dataclass
class SkewCounts:
    """Compared values by column."""

    compared: dict[str, FeatureSkew] = field(default_factory=dict)

    def add(self, column: str, *, differs: bool = False, late: bool = False) -> None:
        """Count one value."""
        known = self.compared.get(column, FeatureSkew(column=column))
        self.compared[column] = FeatureSkew(
            column=column,
            compared=known.compared + 1,
            differing=known.differing + differs,
            late=known.late + late,
        )

    def answer(self, why: str) -> SkewAnswer:
        """The sums.

        Args:
            why: why values were not compared; "" if all columns were.
        """
        columns = sorted(self.compared.values(), key=lambda each: -each.ratio)
        return SkewAnswer(
            at=datetime.now(UTC),
            compared=sum(each.compared for each in columns),
            differing=sum(each.differing for each in columns),
            late=sum(each.late for each in columns),
            worst=columns[0] if columns else None,
            why=one_line(why, MAX_WHY),
        )
