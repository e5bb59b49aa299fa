"""The link of a model version: its features, and from which record they are."""

from dataclasses import dataclass
from typing import Literal

from feature_lineage.api.enums import ColumnNames
from feature_lineage.api.enums import LineageOrigin as Origin
from feature_lineage.features.refs import FeatureRef
from feature_lineage.reasons import Reason

OnConflict = Literal["Report", "UseDeclared"]


@dataclass(frozen=True, slots=True)
class Link:
    """The features of one model version.

    Attributes:
        project: the recorded Feast project, else the expected one; "" if neither is known.
        service: the declared service, or a recorded one with exactly these features; "" otherwise.
        recorded_service: the service that the records name, right or wrong; "" if none.
        refs: the features, by the real names of their views, in recorded order. Of a truncated
            list that cannot be completed: the certain part.
        origin: where the list comes from; None if unknown.
        count: recorded number of features; None if not recorded.
        reason: of `LineageVerified`, where the link is not exactly what was recorded: Ambiguous,
            NoFeastLineage, ProjectMismatch, RegistryUnseen or ServiceMismatch; else ``None``.
        problems: explanations of `reason`; of NoFeastLineage, the records that do not count.
        names: the form of the names of columns in the signature of the model.
    """

    project: str = ""
    service: str = ""
    recorded_service: str = ""
    refs: tuple[FeatureRef, ...] = ()
    origin: Origin | None = None
    count: int | None = None
    reason: Reason | None = None
    problems: tuple[str, ...] = ()
    names: ColumnNames = ColumnNames.UNKNOWN

    @property
    def verifiable(self) -> bool:
        """Whether the list can be verified: no record of it is missing or contradicts it.

        A wrong name of the service does not prevent that. Every other reason does.
        """
        return self.reason in (None, Reason.SERVICE_MISMATCH)

    @property
    def complete(self) -> bool:
        """Whether `refs` is the whole list, as protection needs it."""
        return bool(self.refs) and self.verifiable

    @property
    def views(self) -> tuple[str, ...]:
        """Names of the views of its features, sorted."""
        return tuple(sorted({ref.view for ref in self.refs}))
