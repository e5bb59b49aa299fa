"""What makes the answer of a plan worth less: warnings, each with a stable reason.

A job reports a warning as text that begins with the reason, as in ``ServingUnknown: …``: Events,
ops runs and reports of other versions have texts.
"""

from dataclasses import dataclass
from enum import StrEnum


class Doubt(StrEnum):
    """The reason of a warning; its comment explains its meaning."""

    # Of the facts about models
    NO_MLFLOW = "NoMLflow"  # spec.mlflow is missing: no model is protected
    PROTECTION_OFF = "ProtectionOff"  # apply.protection.mode is Off: models are not looked at
    FACTS_UNAVAILABLE = "FactsUnavailable"  # MLflow was not read, and the mode is not Enforce
    FACTS_OLD = "FactsOld"  # MLflow does not answer; older facts are used
    ACCESS_LIMITED = "AccessLimited"  # only models that the platform shows are looked at
    FEATURES_UNKNOWN = "FeaturesUnknown"  # the features of protected versions are not known
    BASELINE_UNKNOWN = "BaselineUnknown"  # no registry of training time is kept for some versions
    PROTECTS_NOTHING = "ProtectsNothing"  # a glob or tag that protects no feature service
    VIEWS_MISSING = "ViewsMissing"  # the registry has no view of the protected models

    # Of what could be asked and compared
    CODE_UNKNOWN = "CodeUnknown"  # the code behind a function at the last apply is not known
    SERVING_UNKNOWN = "ServingUnknown"  # Feast could not be asked: a module is missing
    NOT_SERVED_BEFORE = "NotServedBefore"  # Feast does not serve it in either registry
    MADE_UP_VALUES = "MadeUpValues"  # an on-demand function fails on made-up values

    # Of an apply
    STORE_MOVED = "StoreMoved"  # the online store is another one, which is empty as far as is known
    INTERVALS_KEPT = "IntervalsKept"  # past rows of a changed view are not written again
    STORED_DIFFERENTLY = "StoredDifferently"  # Feast stores an object in another form
    OTHER = "Warning"  # any other warning


@dataclass(frozen=True, slots=True)
class PlanWarning:
    """One warning.

    Attributes:
        reason: a `Doubt`; stable, for programs.
        message: object, fact, next step.
    """

    reason: Doubt
    message: str

    @classmethod
    def parse(cls, text: str) -> "PlanWarning":
        """The warning of a report; one without a known reason is `OTHER`."""
        head, colon, message = text.partition(": ")
        if colon and head in Doubt.__members__.values():
            return cls(Doubt(head), message)
        return cls(Doubt.OTHER, text)

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"
