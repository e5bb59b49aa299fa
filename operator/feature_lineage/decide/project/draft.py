"""A decision about a project while it is being made."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from feature_lineage.api.project_status import (
    FeatureStoreProjectStatus,
)
from feature_lineage.decide.facts import Event, Key
from feature_lineage.decide.values import (
    Action,
    KeepSnapshot,
    ObservedProject,
)

ProjectStatus = FeatureStoreProjectStatus


@dataclass
class Draft:
    """A decision while it is being made; it never leaves this module."""

    observed: ObservedProject
    status: ProjectStatus
    before: list[KeepSnapshot] = field(default_factory=list)
    after: list[Action] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    looks: list[datetime] = field(default_factory=list)

    def update(self, **changes: Any) -> None:
        self.status = self.status.model_copy(update=changes)

    def tell(self, kind: str, reason: str, message: str) -> None:
        metadata = self.observed.resource.metadata
        key = Key("FeatureStoreProject", metadata.namespace, metadata.name)
        self.events.append(Event(key, kind, reason, message))  # type: ignore[arg-type]
