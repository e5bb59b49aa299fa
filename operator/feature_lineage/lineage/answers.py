"""The answers about lineage, as commands print them and the HTTP API sends them: camelCase JSON.

A field that is not known, or does not apply, is absent.
"""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from feature_lineage.api.enums import LineageOrigin, Verdict
from feature_lineage.lineage.nodes import NodeKind
from feature_lineage.reasons import Reason

Position = Annotated[int, Field(ge=0)]


class Answer(BaseModel):
    """Base class of the parts of answers."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        use_attribute_docstrings=True,
    )

    def as_dict(self) -> dict[str, Any]:
        """The answer as JSON types."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    def as_json(self) -> bytes:
        """The answer as the HTTP API sends it."""
        return self.model_dump_json(by_alias=True, exclude_none=True).encode()


class AsOf(Answer):
    """The age of the facts of an answer."""

    at: datetime | None = None
    """The time in the past that was asked for."""
    models_read_at: datetime | None = None
    """When MLflow was read: no fact about a model is older."""
    registry_read_at: datetime | None = None
    """When the Feast registry was read, or first seen if the answer is about the past."""
    registry_digest: str | None = None
    """Digest of the registry snapshot."""
    probed_at: datetime | None = None
    """When the online store was probed last."""
    gone_since: tuple[str, ...] = ()
    """Model versions that had an alias at `at`, and that are deleted or not of the project now."""


class VersionAnswer(Answer):
    """A version of a registered model."""

    model: str
    version: str
    created_at: datetime | None = None
    aliases: tuple[str, ...] = ()
    service: str | None = None
    """The feature service through which it is served."""
    features: int = 0
    """The number of its features."""
    origin: LineageOrigin | None = None
    """The record from which its features are known."""
    verdict: Verdict | None = None
    reason: str | None = None
    """Reason of the verdict, as in condition LineageVerified."""
    message: str | None = None
    fresh: bool | None = None
    """Whether its features meet their freshness objectives; absent without an objective."""
    freshness_reason: str | None = None
    serves: bool | None = None
    """Whether the last probe could retrieve its features; absent if it was not probed."""
    serving_error: str | None = None
    declared_by: tuple[str, ...] = ()
    """The TrainedModels for it in the namespace of the project, as ``namespace/name``."""


class VersionsPage(Answer):
    """One page of the versions of a project's models, sorted by model and version."""

    resource: str
    as_of: AsOf
    total: int
    """The number of versions on all pages."""
    after: str | None = None
    """Where the next page begins; absent on the last page."""
    items: tuple[VersionAnswer, ...] = ()


class Features(Answer):
    """The features of one model version."""

    resource: str
    as_of: AsOf
    version: VersionAnswer
    refs: tuple[str, ...] = ()
    """In the order in which Feast recorded them."""
    complete: bool = False
    """Whether these are all of its features; `version.message` says what is not known."""


class UnknownVersions(Answer):
    """Versions whose features are not all known, so that they may use what an answer is about."""

    total: int
    first: tuple[str, ...] = ()
    """Names of the first of them, as ``model/version``."""


class AffectedVersion(Answer):
    """A model version that a change would affect."""

    model: str
    version: str
    aliases: tuple[str, ...] = ()
    service: str = ""
    features: tuple[str, ...] = ()
    """Those of its features that the change affects."""


class ImpactAnswer(Answer):
    """One page of the model versions that a change would affect, by model and version."""

    resource: str
    as_of: AsOf
    name: str
    total: int
    """The number of versions on all pages."""
    promoted: int
    """How many of them have an alias."""
    services: tuple[str, ...] = ()
    """The feature services through which they are served."""
    protected_services: tuple[str, ...] = ()
    """Services that are protected without a model, and that the change would affect."""
    unknown: UnknownVersions | None = None
    """Versions that are not in the answer and may be affected; absent if there are none."""
    after: str | None = None
    items: tuple[AffectedVersion, ...] = ()


class NodeAnswer(Answer):
    """A node of the graph."""

    kind: NodeKind
    name: str
    defined: bool = True
    """False: a model uses it, and the registry does not define it any more."""
    verdict: Verdict | None = None
    """Of a model version."""
    reason: Reason | str | None = None


class GraphAnswer(Answer):
    """A part of the graph, complete."""

    resource: str
    as_of: AsOf
    focus: str | None = None
    nodes: tuple[NodeAnswer, ...] = ()
    edges: tuple[tuple[Position, Position], ...] = ()
    """Positions in `nodes`: from what is read to what reads it."""


class SearchPage(Answer):
    """One page of the objects whose name contains a text, best matches first."""

    resource: str
    as_of: AsOf
    total: int
    after: int | None = None
    items: tuple[NodeAnswer, ...] = ()


class UnusedAnswer(Answer):
    """A feature view, or a feature of a view that is used, without a user."""

    kind: NodeKind
    name: str
    last_used_at: datetime | None = None
    """When the last model version with it was registered; absent if there never was one."""


class UnusedPage(Answer):
    """Views and features that no model version has used for some time."""

    resource: str
    as_of: AsOf
    since: datetime
    """Versions that were registered before count only while they have an alias."""
    unknown: UnknownVersions | None = None
    """Versions that may use what the answer lists; absent if there are none."""
    total: int
    after: int | None = None
    items: tuple[UnusedAnswer, ...] = ()


class ProjectAnswer(Answer):
    """A FeatureStoreProject."""

    namespace: str
    name: str
    project: str
    """The Feast project."""
    url: str
    """Path of its endpoints."""


class ProjectsAnswer(Answer):
    """The FeatureStoreProjects that the caller may read."""

    items: tuple[ProjectAnswer, ...]
