"""What is read of the past of a project: the places in MLflow, and the entries found there."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from feature_lineage.operations.alias_history import AliasRecord, aliases_experiment
from feature_lineage.operations.past_operations import PastOperation

FIRST: Final = (-(2**63), "")
"""Before the first entry: the start of a run and its id. A forged start may be before 1970."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where MLflow has the history of one project.

    Attributes:
        operations, aliases: experiments.
        resource: ``namespace/name`` of the FeatureStoreProject; the runs of others do not count.
    """

    operations: str
    aliases: str
    resource: str

    @classmethod
    def of(cls, project: str, suffix: str, namespace: str, name: str) -> "Place":
        """The place of a Feast project's history; `suffix` is ``mlflow.opsExperimentSuffix``."""
        experiment = f"{project}{suffix}"
        return cls(experiment, aliases_experiment(project, suffix), f"{namespace}/{name}")


@dataclass(frozen=True, slots=True)
class RegistryState:
    """The registry in force at a time.

    Attributes:
        since: when it was first seen: the end of the operation.
        seen_until: when it was last seen, at most the time that was asked for.
        operation: id of the operation that first saw it.
    """

    digest: str
    since: datetime
    seen_until: datetime
    operation: str
    revision: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A run that counts as an entry, but has another form: `error` says which run.

    Attributes:
        start_ms: its start as MLflow has it, in ms since 1970.
        at: the same; the first or last time that there is, if its start is no time.
    """

    run_id: str
    start_ms: int
    at: datetime
    error: str


Entry = AliasRecord | PastOperation | Unreadable
