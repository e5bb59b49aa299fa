"""What the online store answers when the features of a model are retrieved, and what that means."""

from enum import StrEnum
from functools import cached_property
from typing import Annotated, Final

from pydantic import Field

from feature_lineage.operations.feature_server import ServerAnswer
from feature_lineage.operations.message import Count, Message, Moment
from feature_lineage.operations.skew import FeatureSkew, SkewAnswer
from feature_lineage.reasons import Reason
from feature_lineage.shorten import cut
from feature_lineage.untrusted import Many, Name

MAX_FEATURES: Final = 20
"""Features of one answer that are listed, the worst ones first."""
SHORT: Final = 60
"""Characters of a text in a record of very many answers."""
MISSING: Final = 0.1
"""More than this share of the written keys, and more than one, is missing: they are not served."""
MOSTLY: Final = 0.5
"""More than this share of the values is null, and `ABOVE_SOURCE` more than in the source."""
ABOVE_SOURCE: Final = 0.25
FEWEST: Final = 5
"""With fewer keys, a share says nothing: only if all are missing, they are not served."""


class ProbeCause(StrEnum):
    """What a failed retrieval proves."""

    SERVING = "Serving"  # Feast or the store refuses what the model asks for
    VALUES = "Values"  # an on-demand function fails, perhaps only on the values of the probe
    UNAVAILABLE = "Unavailable"  # the job does not reach the store, or its image lacks a module


class FeatureAnswer(Message):
    """The values of one column of an answer, for the keys that were written to its view.

    Attributes:
        column: as Feast answers it, such as ``driver_stats__trips`` or ``trips``.
        keys: keys that were written to the view and are not older than its TTL.
        missing: of these, keys that the store does not have.
        nulls: of these, keys with a row whose value is null.
        source_nulls: keys of `keys` whose value was null when it was written; None for a feature
            that is computed on demand.
    """

    column: Name
    keys: Count
    missing: Count = 0
    nulls: Count = 0
    source_nulls: Count | None = None

    @property
    def null_ratio(self) -> float:
        """Share of null values among the keys that the store has; 0 without such keys."""
        found = self.keys - self.missing
        return self.nulls / found if found > 0 else 0.0

    @property
    def source_null_ratio(self) -> float | None:
        """Share of null values among the keys when they were written; None if not known."""
        if self.source_nulls is None or not self.keys:
            return None
        return self.source_nulls / self.keys

    @property
    def missing_ratio(self) -> float:
        """Share of the keys that the store does not have; 0 without keys."""
        return self.missing / self.keys if self.keys else 0.0

    @property
    def excess(self) -> float:
        """How far the answer is from what was written, from 0 to 1."""
        return max(self.missing_ratio, self.null_ratio - (self.source_null_ratio or 0.0))


class ProbeAnswer(Message):
    """The answer of the online store to one question.

    Attributes:
        question: `signatures.question_key`.
        keys: how many rows were asked for.
        known: how many of them have a key that was written to one of their views.
        cause: why it failed; None if it was served.
        error: Feast's or the store's words on one line.
        newest_event: newest event timestamp in the answer.
        features: the worst columns, the worst first.
        skew: the values beside those of the source; None if they were not to be compared.
        server: what the feature server answered to the same; None if it was not asked.
    """

    question: Name
    keys: Count = 0
    known: Count = 0
    cause: ProbeCause | None = None
    error: Annotated[str, Field(max_length=500)] = ""
    newest_event: Moment | None = None
    features: Many[FeatureAnswer] = Field((), max_length=MAX_FEATURES)
    skew: SkewAnswer | None = None
    server: ServerAnswer | None = None

    @property
    def finding(self) -> Reason:
        """The reason of condition Serving that follows from this answer alone."""
        return self._judged[0]

    @property
    def worst(self) -> FeatureAnswer | None:
        """The column from which `finding` follows; None without one that could be compared."""
        return self._judged[1]

    @property
    def skewed(self) -> FeatureSkew | None:
        """The column from which Skewed follows; None with another `finding`."""
        if self.skew is None or self.finding is not Reason.SKEWED:
            return None
        return self.skew.worst

    @property
    def server_at_fault(self) -> ServerAnswer | None:
        """The answer of the feature server from which `finding` follows; None with another one."""
        answer = self.server if self.cause is None else None
        return answer if answer is not None and answer.finding is self.finding else None

    def shortened(self, features: int) -> "ProbeAnswer":
        """The answer with at most so many columns, and the same `finding`; with 0, short texts."""
        listed, worst = self.features[: max(features, 1)], self.worst
        if worst is not None and worst not in listed:
            listed = (*listed[:-1], worst)
        short = self.changed(features=listed)
        if features:
            return short
        server, skew = self.server, self.skew
        return short.changed(
            error=cut(self.error, SHORT),
            skew=skew and skew.changed(why=cut(skew.why, SHORT)),
            server=server
            and server.changed(
                version="",
                error=cut(server.error, SHORT),
                lacks=cut(server.lacks, SHORT),
                adds=cut(server.adds, SHORT),
            ),
        )

    @cached_property
    def _judged(self) -> tuple[Reason, FeatureAnswer | None]:
        compared = [each for each in self.features if each.keys]
        worst = compared[0] if compared else None
        if self.cause is not None:
            return _REASONS[self.cause], worst
        for reason, holds in ((Reason.NOT_SERVED, _missing), (Reason.MOSTLY_NULL, _mostly_null)):
            found = next(filter(holds, compared), None)
            if found is not None:
                return reason, found
        server = self.server.finding if self.server is not None else None
        if server in _BAD_ANSWER:
            return server, worst
        if self.skew is not None and self.skew.differing:
            return Reason.SKEWED, worst
        if server is not None:
            return server, worst
        return Reason.SUCCEEDED if self.known else Reason.NOT_PROBED, worst


_BAD_ANSWER: Final = frozenset(
    {Reason.SERVING_FAILS, Reason.NOT_SERVED, Reason.MOSTLY_NULL, Reason.SERVER_DIFFERS}
)
BAD: Final = _BAD_ANSWER | {Reason.SKEWED}
NOT_GOOD: Final = _BAD_ANSWER | {Reason.PROBE_UNAVAILABLE}
_REASONS: Final = {
    ProbeCause.SERVING: Reason.SERVING_FAILS,
    ProbeCause.VALUES: Reason.NOT_PROBED,
    ProbeCause.UNAVAILABLE: Reason.PROBE_UNAVAILABLE,
}


def _missing(answer: FeatureAnswer) -> bool:
    if answer.keys < FEWEST:
        return answer.missing == answer.keys
    return answer.missing > 1 and answer.missing_ratio > MISSING


def _mostly_null(answer: FeatureAnswer) -> bool:
    written = answer.source_null_ratio
    if written is None or answer.keys < FEWEST:
        return False
    return answer.null_ratio > MOSTLY and answer.null_ratio - written > ABOVE_SOURCE
