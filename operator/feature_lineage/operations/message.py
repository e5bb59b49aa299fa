"""The base of what operator and runner send each other, and the types of its values."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

_EARLIEST: Final = datetime(1600, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(8000, 1, 1, tzinfo=UTC)
"""With the longest duration of the API added to it or taken from it, a time is still a time."""


class Message(BaseModel):
    """What operator and runner send each other; unknown fields are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", arbitrary_types_allowed=True)

    def changed(self, **fields: Any) -> Self:
        """A copy with other values; unlike `model_copy`, without what was computed of this one."""
        own = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self)(**{**own, **fields})


def _utc(value: datetime) -> datetime:
    return min(max(value, _EARLIEST), _LATEST).astimezone(UTC)


Moment = Annotated[AwareDatetime, AfterValidator(_utc)]
Count = Annotated[int, Field(ge=0, lt=2**63)]
"""A number that the API server keeps."""
