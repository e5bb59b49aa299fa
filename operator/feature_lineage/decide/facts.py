"""The parts of an observation: names of resources, and what a host reports of sources and jobs."""

from dataclasses import dataclass
from typing import Literal

from feature_lineage.api import FeatureStoreProject, TrainedModel
from feature_lineage.operations.protocol import JobReport

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
        feature_store_yaml: text that replaces the repo's file, None where the spec names none.
    """

    revision: str
    feature_store_yaml: str | None = None


@dataclass(frozen=True, slots=True)
class JobFacts:
    """A job as its host sees it.

    Attributes:
        running: still going.
        report: what it wrote, None while running or when it wrote none.
        reason: condition reason when it ended without a report, such as ``JobFailed``, or when it
            cannot begin, such as ``ImagePullFailed``; "" otherwise.
        message: what is known of that.
        begun: something of it runs or ran; what has not begun can be taken back.
        outdated: it has not begun, and would be made differently today.
        cancelled: the operator has asked for its end.
    """

    running: bool
    report: JobReport | None = None
    reason: str = ""
    message: str = ""
    begun: bool = True
    outdated: bool = False
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """Something worth telling a user once."""

    key: Key
    kind: Literal["Normal", "Warning"]
    reason: str
    message: str


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
