"""What is kept of the probes of a project: the keys with which they ask, and the last answers.

A materialization reports keys that it wrote; where somebody else materializes, the probe reads keys
from the source, once a day. A probe retrieves the features of each model for such keys. Both are
kept in one record for each project.
"""

from collections.abc import Collection, Container, Iterable, Mapping
from datetime import datetime, timedelta
from functools import cached_property
from itertools import islice
from typing import Annotated, Final

from pydantic import AwareDatetime, Field, ValidationError

from feature_lineage.errors import InvalidReport
from feature_lineage.features.snapshot import canonical_json, digest_of
from feature_lineage.operations.message import Message, Moment
from feature_lineage.operations.probe_answer import BAD, NOT_GOOD, ProbeAnswer
from feature_lineage.operations.sampled_keys import SampledKeys, SourceKeys
from feature_lineage.operations.skew import skew_after
from feature_lineage.reasons import Reason
from feature_lineage.untrusted import Name, parse_json

MAX_RECORD_BYTES: Final = 700 * 1024
"""Of a record, as text: it fits into a ConfigMap and into the request of a job."""
CONFIRM_SERVER_AFTER: Final = timedelta(seconds=90)
"""A fault of a feature server counts so much later: by default it reads the registry again after
60 s."""


class Probed(Message):
    """The last answer to a question.

    Attributes:
        at: end of the probe.
        bad: how many answers in a row, this one included, were not good; 1 as long as a fault of a
            feature server is too new to count.
        faulty: end of the first of the probes in a row, up to this one, that found such a fault.
        skewed: how many comparisons with the source in a row found differing values. The answer
            has the last one, which may be older.
    """

    answer: ProbeAnswer
    at: AwareDatetime
    bad: Annotated[int, Field(ge=0)] = 0
    faulty: AwareDatetime | None = None
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
        return self.changed(answer=answer, bad=self.bad if answer.finding in NOT_GOOD else 0)

    def at_server(self, url: str) -> "Probed":
        """With this address of the feature server, if the text of a record leaves that out."""
        server = self.answer.server
        if server is None or server.url:
            return self
        return self.changed(answer=self.answer.changed(server=server.changed(url=url)))


class ProbeRecord(Message):
    """What is known about the online store of a project.

    Attributes:
        keys: by view.
        answers: by question, of the last probe.
        sought: by view, when its keys were last read from its source, or could not be read.
        unread: by view, why the keys could not be read.
        written: end of the last materialization whose values were not compared with the source.
        server: address of the feature server that the last probe had to ask; "" for none.
        asked: digest of the questions that the last probe answered; "" by an older operator.
    """

    keys: dict[Name, SampledKeys] = Field(default_factory=dict)
    answers: dict[Name, Probed] = Field(default_factory=dict)
    sought: dict[Name, AwareDatetime] = Field(default_factory=dict)
    unread: dict[Name, str] = Field(default_factory=dict)
    written: Moment | None = None
    server: str = ""
    asked: Name = ""

    @cached_property
    def text(self) -> str:
        """Canonical JSON, which `parse` reads."""
        value = self.model_dump(mode="json", exclude_defaults=True)
        for each in value.get("answers", {}).values():
            server = each["answer"].get("server")
            if server and server["url"] == self.server:
                server["url"] = ""
        return canonical_json(value)

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

    def with_unread(self, views: Iterable[str], at: datetime, why: str) -> "ProbeRecord":
        """The record after a probe that died, perhaps while it read the sources of these views."""
        return self.changed(
            sought=self.sought | dict.fromkeys(views, at),
            unread=self.unread | dict.fromkeys(views, why),
        ).fitted()

    def answered(self, questions: Collection[str]) -> bool:
        """Whether the last probe answered all of these, also if an answer was too large to keep."""
        return self.asked == digest_of(sorted(questions)) or all(
            question in self.answers for question in questions
        )

    def fitted(self) -> "ProbeRecord":
        """The record with less of the answers and fewer keys of each view, until its text fits.

        The answers keep half of the room, or what the rest leaves. With all keys gone, the errors
        of sources go, too, so that an answer is always left.
        """
        if self.size <= MAX_RECORD_BYTES:
            return self
        rest = self.changed(answers={})
        room = max(MAX_RECORD_BYTES // 2, MAX_RECORD_BYTES - rest.size)
        answers = ProbeRecord(answers=self.answers, server=self.server).with_short_answers(room)
        room = MAX_RECORD_BYTES - answers.size
        most = max((len(each.keys) for each in rest.keys.values()), default=0)
        while rest.size > room and most:
            most //= 2
            keys = {
                name: each.model_copy(update={"keys": each.keys[:most]})
                for name, each in self.keys.items()
            }
            rest = rest.changed(keys=keys if most else {})
        if rest.size > room:
            rest = rest.changed(sought={}, unread={})
        return rest.changed(answers=answers.answers)

    def with_short_answers(self, room: int) -> "ProbeRecord":
        """The record, which has only answers, with less of them if they need more bytes."""
        record = self
        for most in (10, 5, 2, 1, 0):
            if record.size <= room:
                break
            short = {
                name: each.changed(answer=each.answer.shortened(most))
                for name, each in record.answers.items()
            }
            record = record.changed(answers=short)
        while record.size > room:
            half = islice(record.answers.items(), len(record.answers) // 2)
            record = record.changed(answers=dict(half))
        return record

    @property
    def size(self) -> int:
        """Bytes of the text."""
        return len(self.text.encode())

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
            bad, faulty = _bad_after(last and last.of_server(server), answer, at, began or at)
            skew, skewed = skew_after(
                last.answer.skew if last is not None else None,
                last.skewed if last is not None else 0,
                answer.skew,
            )
            skew, skewed = (skew, skewed) if compares else (None, 0)
            compared = compared or answer.skew is not None
            kept = answer.changed(skew=skew)
            probed[answer.question] = Probed(
                answer=kept, at=at, bad=bad, faulty=faulty, skewed=skewed
            )
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
            asked=digest_of(sorted(probed)),
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
            record = cls.model_validate(parse_json(text))
        except (ValueError, ValidationError) as error:
            raise InvalidReport(f"the record of the probes does not parse: {error}") from error
        return record.changed(
            answers={name: each.at_server(record.server) for name, each in record.answers.items()}
        )


def _bad_after(
    last: Probed | None, answer: ProbeAnswer, at: datetime, began: datetime
) -> tuple[int, datetime | None]:
    """`Probed.bad` and `Probed.faulty` after an answer.

    Args:
        last: without the answer of another feature server.
        at: end of the probe.
        began: its start.
    """
    bad = (last.bad if last is not None else 0) + 1 if answer.finding in NOT_GOOD else 0
    if answer.server_at_fault is None:
        return bad, None
    faulty = at.replace(microsecond=0)
    if last is not None and last.answer.server_at_fault is not None:
        unlike = (last.answer.finding in BAD) is not (answer.finding in BAD)
        faulty = faulty if unlike else last.faulty or last.at
    return bad if began - faulty >= CONFIRM_SERVER_AFTER else 1, faulty
