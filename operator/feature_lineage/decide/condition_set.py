"""Builds the conditions of one status, with transition times and truncated messages."""

from datetime import datetime
from enum import StrEnum

from feature_lineage.api import Condition
from feature_lineage.api.conditions import find_condition, remove_condition, set_condition
from feature_lineage.decide.budget import MESSAGE, fit
from feature_lineage.reasons import Reason
from feature_lineage.shorten import visible


class ConditionSet:
    """The conditions of one resource while a decision computes them.

    Args:
        current: the conditions in the current status.
        now: transition time of a condition whose status changes.
        generation: generation of the spec from which the conditions are computed.
    """

    def __init__(
        self, current: tuple[Condition, ...], now: datetime, generation: int | None
    ) -> None:
        self.values = current
        self._now = now
        self._generation = generation

    def true(self, type_: StrEnum, reason: str = Reason.SUCCEEDED, message: str = "") -> None:
        self._set(type_, "True", reason, message)

    def false(self, type_: StrEnum, reason: str, message: str = "") -> None:
        self._set(type_, "False", reason, message)

    def unknown(self, type_: StrEnum, reason: str, message: str = "") -> None:
        self._set(type_, "Unknown", reason, message)

    def only_while(self, type_: StrEnum, holds: bool, reason: str = "", message: str = "") -> None:
        """Set a condition that exists only while it is True, such as Stalled; else remove it."""
        if holds:
            self._set(type_, "True", reason, message)
        else:
            self.values = remove_condition(self.values, type_)

    def get(self, type_: StrEnum) -> Condition | None:
        return find_condition(self.values, type_)

    def _set(self, type_: StrEnum, status: str, reason: str, message: str) -> None:
        new = Condition(
            type=str(type_),
            status=status,
            reason=reason,
            message=fit(visible(message), MESSAGE),
            last_transition_time=self._now,
            observed_generation=self._generation,
        )
        self.values = set_condition(self.values, new, self._now)
