"""The parts of an observation: names of resources, and the state of sources and jobs."""

from dataclasses import dataclass
from typing import Literal

from feature_lineage.api import FeatureStoreProject, TrainedModel
from feature_lineage.operations.job_report import JobReport
from feature_lineage.shorten import visible

Resource = FeatureStoreProject | TrainedModel


@dataclass(frozen=True, slots=True)
class Key:
    """Names one resource."""

    kind: Literal["FeatureStoreProject", "TrainedModel"]
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """A source, resolved.

    Attributes:
        revision: commit sha, or ``sha256:…`` of a tree; "" without a source.
        feature_store_yaml: text that replaces the file of the repo; None if the spec names none.
    """

    revision: str
    feature_store_yaml: str | None = None


@dataclass(frozen=True, slots=True)
class JobFacts:
    """A job as its host sees it.

    Attributes:
        running: the job has not ended.
        report: the report of the job; None while it runs, or if it wrote none.
        reason: condition reason if the job ended without a report, such as ``JobFailed``, or if it
            cannot start, such as ``ImagePullFailed``; "" otherwise.
        message: the cause, for users.
        begun: a part of the job runs or ran; a job that has not begun can be cancelled.
        outdated: the job has not begun, and would be created differently now.
        cancelled: the operator has cancelled the job.
        guard_question: token of the question for a newer guard that the job waits for; "" if it
            does not ask, or has its answer.
    """

    running: bool
    report: JobReport | None = None
    reason: str = ""
    message: str = ""
    begun: bool = True
    outdated: bool = False
    cancelled: bool = False
    guard_question: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """An event about which a user is informed once. Its message is one line of visible text."""

    key: Key
    kind: Literal["Normal", "Warning"]
    reason: str
    message: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", visible(self.message))


def key_of(resource: Resource) -> Key:
    return Key(resource.kind, resource.metadata.namespace, resource.metadata.name)


def seniority(resource: Resource) -> tuple[bool, str, str, str]:
    created = resource.metadata.creation_timestamp
    return (
        created is None,
        created.isoformat() if created else "",
        resource.metadata.namespace,
        resource.metadata.name,
    )
