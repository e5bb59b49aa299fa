"""What a probe has to ask the online store."""

from typing import Annotated, Final

from pydantic import Field

from feature_lineage.api.enums import ProbeSkew
from feature_lineage.operations.message import Message
from feature_lineage.operations.sampled_keys import MAX_KEYS, SampledKeys
from feature_lineage.operations.serving import Question

MAX_QUESTIONS: Final = 1000


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
