"""The probe: what the online store answers when the features of the models are retrieved.

A materialization reports keys that it wrote; where somebody else materializes, the probe reads keys
from the source, once a day. A probe retrieves the features of each model for such keys. Both are
kept in one record for each project.
"""

from collections.abc import Container, Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Final

from pydantic import AwareDatetime, Field, ValidationError

from feature_lineage.api.enums import ProbeSkew
from feature_lineage.errors import InvalidReport
from feature_lineage.features.snapshot import canonical_json, digest_of
from feature_lineage.operations.feature_server import ServerAnswer
from feature_lineage.operations.message import Count, Message, Moment
from feature_lineage.operations.sampled_keys import MAX_KEYS, SampledKeys, SourceKeys
from feature_lineage.operations.serving import Question
from feature_lineage.operations.skew import FeatureSkew, SkewAnswer, skew_after
from feature_lineage.reasons import Reason
from feature_lineage.untrusted import Many, Name, parse_json

MAX_FEATURES: Final = 20
"""Features of one answer that are listed, the worst ones first."""
MAX_QUESTIONS: Final = 1000
MAX_RECORD_BYTES: Final = 700 * 1024
"""Of a record, as text: it fits into a ConfigMap and into the request of a job."""
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
_NOT_GOOD: Final = _BAD_ANSWER | {Reason.PROBE_UNAVAILABLE}
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


class Probed(Message):
    """The last answer to a question.

    Attributes:
        at: end of the probe.
        bad: how many answers in a row, this one included, were not good.
        skewed: how many comparisons with the source in a row found differing values. The answer
            has the last one, which may be older.
    """

    answer: ProbeAnswer
    at: AwareDatetime
    bad: Annotated[int, Field(ge=0)] = 0
    skewed: Annotated[int, Field(ge=0)] = 0

    @property
    def confirmed(self) -> bool:
        """Whether the finding counts: one good answer, or two bad ones in a row."""
        if self.answer.finding is Reason.SKEWED:
            return self.skewed > 1
        return self.bad != 1

    def of_server(self, url: str) -> "Probed":
        """Without the answer of a feature server, if that is not the server at this address."""
        server = self.answer.server
        if server is None or server.url == url:
            return self
        answer = self.answer.changed(server=None)
        return self.changed(answer=answer, bad=self.bad if answer.finding in _NOT_GOOD else 0)


class ProbeRecord(Message):
    """What is known about the online store of a project.

    Attributes:
        keys: by view.
        answers: by question, of the last probe.
        sought: by view, when its keys were last read from its source, or could not be read.
        unread: by view, why the keys could not be read.
        written: end of the last materialization whose values were not compared with the source.
        server: address of the feature server that the last probe had to ask; "" for none.
    """

    keys: dict[Name, SampledKeys] = Field(default_factory=dict)
    answers: dict[Name, Probed] = Field(default_factory=dict)
    sought: dict[Name, AwareDatetime] = Field(default_factory=dict)
    unread: dict[Name, str] = Field(default_factory=dict)
    written: Moment | None = None
    server: str = ""

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

    @property
    def to_compare(self) -> bool:
        """Whether the next probe compares the values with the source."""
        return self.written is not None or any(each.skewed == 1 for each in self.answers.values())

    def with_keys(
        self,
        sampled: Mapping[str, SampledKeys],
        views: Container[str],
        at: datetime | None = None,
    ) -> "ProbeRecord":
        """The record after a materialization, with fewer keys if it would be too large.

        Args:
            views: those in the registry; the keys of others are dropped.
            at: end of the materialization.
        """
        known = self.keys
        new = {n: known[n].after(keys) if n in known else keys for n, keys in sampled.items()}
        kept = {name: keys for name, keys in {**known, **new}.items() if name in views}
        sought = {name: moment for name, moment in self.sought.items() if name not in sampled}
        unread = {name: why for name, why in self.unread.items() if name in sought}
        return self.changed(keys=kept, sought=sought, unread=unread, written=at).fitted()

    def fitted(self) -> "ProbeRecord":
        """The record with half of the keys of each view, and so on, until its text fits."""
        record, most = self, MAX_KEYS
        while len(record.text.encode()) > MAX_RECORD_BYTES and most:
            most //= 2
            keys = {
                name: each.model_copy(update={"keys": each.keys[:most]})
                for name, each in record.keys.items()
            }
            record = self.changed(keys=keys if most else {})
        return record if most else ProbeRecord()

    def with_answers(
        self,
        answers: Iterable[ProbeAnswer],
        at: datetime,
        views: Container[str],
        read: Iterable[SourceKeys] = (),
        began: datetime | None = None,
        *,
        compares: bool = True,
        server: str = "",
    ) -> "ProbeRecord":
        """The record after a probe.

        Args:
            at: end of the probe.
            read: what it read from sources.
            views: those in the registry; the keys of others are dropped.
            began: start of the probe: what was written later is not compared yet.
            compares: whether values are compared at all; if not, earlier findings are dropped.
            server: address of the feature server of the project; "" if none may be asked.
        """
        probed, compared = {}, False
        for answer in answers:
            last = self.answers.get(answer.question)
            before = last.bad if last is not None else 0
            skew, skewed = skew_after(
                last.answer.skew if last is not None else None,
                last.skewed if last is not None else 0,
                answer.skew,
            )
            skew, skewed = (skew, skewed) if compares else (None, 0)
            compared = compared or answer.skew is not None
            bad = before + 1 if answer.finding in _NOT_GOOD else 0
            kept = answer.changed(skew=skew)
            probed[answer.question] = Probed(answer=kept, at=at, bad=bad, skewed=skewed)
        found = {each.view: each for each in read}
        new = {name: each.keys for name, each in found.items() if each.keys is not None}
        known = {name: keys for name, keys in {**self.keys, **new}.items() if name in views}
        errors = {name: each.error for name, each in found.items() if each.error}
        unread = {name: why for name, why in self.unread.items() if name not in found} | errors
        sought = self.sought | dict.fromkeys(found, at)
        done = not compares or (
            compared and (began is None or self.written is None or self.written <= began)
        )
        return ProbeRecord(
            keys=known,
            answers=probed,
            sought={name: moment for name, moment in sought.items() if name in views},
            unread={name: why for name, why in unread.items() if name in views},
            written=None if done else self.written,
            server=server,
        ).fitted()

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
        questions: of the model versions with an alias, and of the declared ones.
        keys: by view, as materializations wrote them or an earlier probe read them.
        sources: views whose keys are read from their sources first, if they have a watermark.
        most: rows of one retrieval.
        skew: of which sources values are compared; Off: of none.
        server: address of a feature server that is asked, too; "" for none.
    """

    questions: tuple[Question, ...] = ()
    keys: dict[str, SampledKeys] = Field(default_factory=dict)
    sources: tuple[str, ...] = ()
    most: Annotated[int, Field(ge=1, le=MAX_KEYS)] = 100
    skew: ProbeSkew = ProbeSkew.OFF
    server: str = ""
