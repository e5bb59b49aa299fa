"""What a feature server answers to a question of the probe, beside Feast in the job."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from feature_lineage.operations.message import Count, Message
from feature_lineage.operations.skew import FeatureSkew
from feature_lineage.reasons import Reason

MAX_WORDS: Final = 300
_Words = Annotated[str, Field(max_length=500)]


class ServerCause(StrEnum):
    """What a failed request proves."""

    REFUSED = "Refused"  # the server answers with an error; Feast in the job serves the same
    UNAVAILABLE = "Unavailable"  # the job got no answer of a feature server
    UNASKABLE = "Unaskable"  # no request can hold what Feast in the job was asked


class ServerAnswer(Message):
    """The answer of the feature server to one question, which Feast in the job has served.

    Attributes:
        url: of the server.
        healthy: what its ``/health`` says; None if nothing.
        version: what is known of its version of Feast.
        cause: why it did not answer; None if it did.
        error: its words, or those of the connection, on one line.
        stale: its registry lacks objects that the registry has.
        lacks: columns that the answer lacks; "" if none.
        adds: columns that only the server answers; "" if none.
        compared, differing: values of all columns.
        absent: of the differing values, those that the server answers as null.
        worst: the column with the largest share of differing values; None if none was compared.
    """

    url: Annotated[str, Field(max_length=2048)]
    healthy: bool | None = None
    version: _Words = ""
    cause: ServerCause | None = None
    error: _Words = ""
    stale: bool = False
    lacks: _Words = ""
    adds: _Words = ""
    compared: Count = 0
    differing: Count = 0
    absent: Count = 0
    worst: FeatureSkew | None = None

    @property
    def finding(self) -> Reason | None:
        """The reason of condition Serving that follows from it; None if it is as it should be."""
        if self.cause is ServerCause.REFUSED:
            return Reason.SERVING_FAILS
        if self.cause is ServerCause.UNAVAILABLE:
            return Reason.PROBE_UNAVAILABLE
        if self.cause is ServerCause.UNASKABLE:
            return None
        if self.lacks or self.adds or self.differing:
            return Reason.SERVER_DIFFERS
        return Reason.PROBE_UNAVAILABLE if self.healthy is False else None
