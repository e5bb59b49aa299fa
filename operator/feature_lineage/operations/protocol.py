"""The job protocol: one request in, one report out, both JSON.

The operator writes the request and the runner writes the report (`job_report`); they share nothing
else.
"""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, ValidationError

from feature_lineage.api.enums import OperationKind
from feature_lineage.api.project_spec import ServiceFilter
from feature_lineage.errors import InvalidReport
from feature_lineage.features.snapshot import canonical_json
from feature_lineage.operations.kinds import KINDS, kind_of_command
from feature_lineage.operations.message import Message
from feature_lineage.operations.probe_request import ProbeRequest
from feature_lineage.operations.protection import Guard
from feature_lineage.operations.serving import Question


def _kind(value: Any) -> Any:
    """The kind of a command; the first kind if a command has several."""
    if isinstance(value, OperationKind):
        value = KINDS[value].command
    return kind_of_command(value) if isinstance(value, str) else value


JobKind = Annotated[
    OperationKind, BeforeValidator(_kind), PlainSerializer(lambda kind: KINDS[kind].command)
]
"""A kind of operation, spelled as its command: a backfill is materialized like any other."""


class PlanOverride(Message):
    """The permission of a user for one plan."""

    plan_digest: str
    why: str


class ApplyRequest(Message):
    """What an apply (or plan) may do.

    Attributes:
        prune: delete objects of this project that are no longer in the repo.
        adopted: id of the registry to which this resource applied this project; "" if it applied to
            none: in any other registry, deletions need adoption. ``None`` for a plan without apply,
            which lists deletions and adopts nothing.
        guard: protected models; ``None`` switches protection off.
        max_guard_age_seconds: with an older guard nothing is changed; the job asks for a newer one.
        protection: Enforce blocks, Warn allows and reports.
        block_on: verdicts that block, of Broken and Changed.
        on_unknown: how models with unknown features are treated.
        services: globs of the feature services that are protected without a model.
        closures: closures of the last applied snapshot, by view.
        last_views: views of the last applied snapshot: the online table of one that is neither in
            the registry nor in the repo any more was left by a killed apply, and is dropped.
        online_store: id of the online store in effect; "" if it is not known.
    """

    prune: bool = True
    adopted: str | None = None
    guard: Guard | None = None
    max_guard_age_seconds: float = 600.0
    protection: Literal["Enforce", "Warn", "Off"] = "Enforce"
    block_on: tuple[Literal["Broken", "Changed"], ...] = ("Broken",)
    on_unknown: Literal["Warn", "Block"] = "Warn"
    allow_breaking: PlanOverride | None = None
    allow_adoption: PlanOverride | None = None
    services: ServiceFilter | None = None
    closures: dict[str, str] = Field(default_factory=dict)
    last_views: tuple[str, ...] = ()
    online_store: str = ""


class ObserveRequest(Message):
    """What is retrieved with made-up values from the registry that the job reads.

    Attributes:
        questions: of the protected models; Feast runs the stored code of on-demand views for them.
    """

    questions: tuple[Question, ...] = ()


class ViewWindow(Message):
    """The view and the window of a materialization.

    Attributes:
        name: feature view.
        start: inclusive; ``None`` means incremental: from the view's last interval on.
        end: exclusive.
    """

    name: str
    start: datetime | None = None
    end: datetime


class MaterializeRequest(Message):
    """Attributes:
    views: one after another, each independent of the others. Empty with `all_views_end`: every
    view. all_views_start: window start for every materializable view; ``None``: incremental.
    all_views_end: window end for every materializable view; ``None``: only `views`.
    last: views during which an earlier job ended: they come after all others.
    written_to: views with the place of their rows, if it is known, see `freshness.place_of`.
    untrusted: views with the end of a window that was in the future when it was read.
    fill: a view whose rows are in another place is materialized from the start of its TTL.
    sampled_keys: how many keys of each view the report names, for a probe; 0: none.
    skip: views that ended two jobs, which are not tried; each with what a person can do.
    """

    views: tuple[ViewWindow, ...] = ()
    all_views_start: datetime | None = None
    all_views_end: datetime | None = None
    last: tuple[str, ...] = ()
    skip: dict[str, str] = Field(default_factory=dict)
    written_to: dict[str, str] = Field(default_factory=dict)
    untrusted: dict[str, datetime] = Field(default_factory=dict)
    fill: bool = False
    sampled_keys: int = 0


class DeleteRequest(Message):
    """Deletes the objects of this project, never those of another project.

    Attributes:
        guard: refuses while protected models use the project, known features or not.
        max_guard_age_seconds: with an older guard nothing is changed; the job asks for a newer one.
        services: globs of the feature services that are protected without a model; the job refuses
            while the project has protected services.
        allow: the user's reason to delete although models use the project, or services are
            protected.
        adopted: id of the registry to which this resource applied; the job changes no other
            registry.
    """

    guard: Guard | None = None
    max_guard_age_seconds: float = 600.0
    protection: Literal["Enforce", "Warn", "Off"] = "Enforce"
    services: ServiceFilter | None = None
    allow: str | None = None
    adopted: str = ""


class JobRequest(Message):
    """One operation, for one process.

    Attributes:
        protocol: 2 if feature services are protected without a model: a runner of an older version,
            which would not look at them, knows only 1 and refuses the request.
        operation_id: unique; names the job and tags the ops run.
        repo: directory of the feature repo at `revision` (holds feature_store.yaml).
        feature_store_yaml: text that replaces the repo's feature_store.yaml.
        deadline_seconds: the process group is killed after it.
        folder_revision: `revision` is the digest of the folder `repo`: a job that imports it checks
            this again.
        ephemeral: mount points that are deleted with the job; no store may be there.
        owner: id of the resource, for the owner record in the registry; "" neither checks nor
            writes the record.
        refused: the last apply of the resource found another owner; a registry that has lost its
            owner record stays closed to it.
        put_back: Feast's state of views before a job of this resource ended while it materialized
            them: a job that writes the registry puts back what that job set.
    """

    protocol: Literal[1, 2] = 1
    operation_id: str
    kind: JobKind
    project: str
    repo: str
    revision: str = ""
    feature_store_yaml: str | None = None
    deadline_seconds: float = 3600.0
    folder_revision: bool = False
    ephemeral: tuple[str, ...] = ()
    owner: str = ""
    refused: bool = False
    put_back: dict[str, str] = Field(default_factory=dict)
    apply: ApplyRequest | None = None
    materialize: MaterializeRequest | None = None
    delete: DeleteRequest | None = None
    observe: ObserveRequest | None = None
    probe: ProbeRequest | None = None

    @property
    def enforced_guard(self) -> Guard | None:
        """The guard that may become too old for the job; None if nothing depends on its age."""
        part = self.apply or self.delete
        return part.guard if part is not None and part.protection == "Enforce" else None


def encode(message: Message) -> str:
    """Canonical JSON of a request or report."""
    return canonical_json(message.model_dump(mode="json"))


REFUSED_REQUEST: Final = "the job's request does not parse"
"""How the message begins with which a runner of any version refuses a request."""


def unparsable(what: str, error: ValidationError) -> InvalidReport:
    """The error of a message between operator and runner with another or no version."""
    first = error.errors(include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return InvalidReport(
        f"the job's {what} does not parse: {where}: {first['msg']}; "
        "run operator and runner of the same minor version"
    )
