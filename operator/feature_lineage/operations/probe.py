"""The probe: what the online store answers when the features of the models are retrieved.

A materialization reports keys that it wrote. A probe retrieves the features of each model for such
keys. Both are kept in one record for each project.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Final

from pydantic import AwareDatetime, Field, ValidationError

from feature_lineage.errors import InvalidReport
from feature_lineage.features.snapshot import canonical_json, digest_of
from feature_lineage.operations.message import Count, Message, Moment
from feature_lineage.operations.serving import Question
from feature_lineage.reasons import Reason
from feature_lineage.untrusted import Many, Name, parse_json

MAX_KEYS: Final = 1000
"""Keys of one view, and of one retrieval."""
MAX_SAMPLED: Final = 5_000
"""Keys of all views of a project."""
MAX_FEATURES: Final = 20
"""Features of one answer that are listed, the worst ones first."""
MAX_QUESTIONS: Final = 1000
MAX_RECORD_BYTES: Final = 8 * 1024 * 1024
MISSING: Final = 0.1
"""More than this share of the written keys is missing: they are not served."""
MOSTLY: Final = 0.5
"""More than this share of the values is null, and `ABOVE_SOURCE` more than in the source."""
ABOVE_SOURCE: Final = 0.25
FEWEST: Final = 5
"""With fewer keys, a share says nothing."""

KeyValue = bool | int | Annotated[str, Field(max_length=256)]


class SampledKey(Message):
    """A key that a materialization wrote.

    Attributes:
        values: of the join keys, in the order of `SampledKeys.columns`.
        at: event timestamp of the row.
        nulls: features without a value in the row.
    """

    values: Annotated[tuple[KeyValue, ...], Field(max_length=20)]
    at: Moment
    nulls: Many[Name] = ()


class SampledKeys(Message):
    """Keys that the last materializations of a view wrote.

    Attributes:
        columns: join keys of the view.
        keys: the newest ones first.
    """

    columns: Annotated[tuple[Name, ...], Field(max_length=20)]
    keys: Many[SampledKey] = Field((), max_length=MAX_KEYS)

    def after(self, newer: "SampledKeys") -> "SampledKeys":
        """The keys after another materialization, which may have written only a few."""
        if newer.columns != self.columns:
            return newer
        written = {key.values for key in newer.keys}
        older = (key for key in self.keys if key.values not in written)
        most = max(len(self.keys), len(newer.keys))
        return newer.model_copy(update={"keys": (*newer.keys, *older)[:most]})


class ProbeCause(StrEnum):
    """What a failed retrieval proves."""

    SERVING = "Serving"  # Feast or the store refuses what the model asks for
    UNAVAILABLE = "Unavailable"  # the job does not reach the store, or its image lacks a module


class FeatureAnswer(Message):
    """The values of one column of an answer, for the keys that were written to its view.

    Attributes:
        column: full name, such as ``driver_stats__trips``.
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
        cause: why it failed; None if it was served.
        error: Feast's or the store's words on one line.
        newest_event: newest event timestamp in the answer.
        features: the worst columns, the worst first.
    """

    question: Name
    keys: Count = 0
    cause: ProbeCause | None = None
    error: Annotated[str, Field(max_length=500)] = ""
    newest_event: Moment | None = None
    features: Many[FeatureAnswer] = Field((), max_length=MAX_FEATURES)

    @property
    def finding(self) -> Reason:
        """The reason of condition Serving that follows from this answer alone."""
        return self._judged[0]

    @property
    def worst(self) -> FeatureAnswer | None:
        """The column from which `finding` follows; None without one that could be compared."""
        return self._judged[1]

    @cached_property
    def _judged(self) -> tuple[Reason, FeatureAnswer | None]:
        compared = [each for each in self.features if each.keys >= FEWEST]
        worst = compared[0] if compared else None
        if self.cause is not None:
            served = self.cause is ProbeCause.SERVING
            return Reason.SERVING_FAILS if served else Reason.PROBE_UNAVAILABLE, worst
        if worst is None:
            return Reason.NOT_PROBED, None
        for reason, holds in ((Reason.NOT_SERVED, _missing), (Reason.MOSTLY_NULL, _mostly_null)):
            found = next(filter(holds, compared), None)
            if found is not None:
                return reason, found
        return Reason.SUCCEEDED, worst


def _missing(answer: FeatureAnswer) -> bool:
    return answer.missing_ratio > MISSING


def _mostly_null(answer: FeatureAnswer) -> bool:
    written = answer.source_null_ratio
    if written is None:
        return False
    return answer.null_ratio > MOSTLY and answer.null_ratio - written > ABOVE_SOURCE


class Probed(Message):
    """The last answer to a question.

    Attributes:
        at: end of the probe.
        repeats: how many probes in a row had the same finding.
    """

    answer: ProbeAnswer
    at: AwareDatetime
    repeats: Annotated[int, Field(ge=1)] = 1

    @property
    def confirmed(self) -> bool:
        """Whether the finding counts: one good probe, or two bad ones in a row."""
        return self.answer.finding not in BAD or self.repeats > 1


BAD: Final = frozenset({Reason.SERVING_FAILS, Reason.NOT_SERVED, Reason.MOSTLY_NULL})


class ProbeRecord(Message):
    """What is known about the online store of a project.

    Attributes:
        keys: by view.
        answers: by question, of the last probe.
    """

    keys: dict[Name, SampledKeys] = Field(default_factory=dict)
    answers: dict[Name, Probed] = Field(default_factory=dict)

    @cached_property
    def text(self) -> str:
        """Canonical JSON, which `parse` reads."""
        return canonical_json(self.model_dump(mode="json"))

    @cached_property
    def digest(self) -> str:
        """Hex sha256 of the content."""
        return digest_of(self.text)

    @property
    def unconfirmed(self) -> bool:
        """Whether a question has a bad answer that no second probe has confirmed."""
        return any(not probed.confirmed for probed in self.answers.values())

    def with_keys(self, sampled: Mapping[str, SampledKeys]) -> "ProbeRecord":
        """The record after a materialization."""
        if not sampled:
            return self
        known = self.keys
        keys = {n: known[n].after(new) if n in known else new for n, new in sampled.items()}
        return self.model_copy(update={"keys": {**known, **keys}})

    def with_answers(
        self, answers: Iterable[ProbeAnswer], at: datetime, views: Iterable[str]
    ) -> "ProbeRecord":
        """The record after a probe.

        Args:
            at: end of the probe.
            views: those in the registry; the keys of others are dropped.
        """
        probed = {}
        for answer in answers:
            last = self.answers.get(answer.question)
            again = last is not None and last.answer.finding is answer.finding
            repeats = last.repeats + 1 if again and last is not None else 1
            probed[answer.question] = Probed(answer=answer, at=at, repeats=repeats)
        named = set(views)
        keys = {name: keys for name, keys in self.keys.items() if name in named}
        return ProbeRecord(keys=keys, answers=probed)

    @classmethod
    def parse(cls, text: bytes, digest: str) -> "ProbeRecord":
        """Parse what `text` wrote, if it has this digest; the input is untrusted.

        Raises:
            InvalidReport: the text has another digest, or is no such record.
        """
        if len(text) > MAX_RECORD_BYTES or digest_of(text.decode(errors="replace")) != digest:
            raise InvalidReport("the record of the probes has another digest than the status names")
        try:
            return cls.model_validate(parse_json(text))
        except (ValueError, ValidationError) as error:
            raise InvalidReport(f"the record of the probes does not parse: {error}") from error


class ProbeRequest(Message):
    """What is retrieved from the online store.

    Attributes:
        questions: of the protected and the declared models.
        keys: by view, as materializations wrote them.
        most: rows of one retrieval.
    """

    questions: tuple[Question, ...] = ()
    keys: dict[str, SampledKeys] = Field(default_factory=dict)
    most: Annotated[int, Field(ge=1, le=MAX_KEYS)] = 100
