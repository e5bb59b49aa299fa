"""The properties of each kind of operation: one row per kind.

A new kind is a member of `OperationKind`, a row here, an entry in `runner.dispatch`, a check in
`decide.project.due`, and, where its job needs parameters, a part of the job request.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from feature_lineage.api.enums import OperationKind, Result


class Lane(StrEnum):
    """Operations of one lane run one after another; the lanes run in parallel."""

    WRITING = "Writing"
    READING = "Reading"


class RequestPart(StrEnum):
    """The part of a job request that holds a kind's parameters."""

    NONE = ""
    APPLY = "apply"
    MATERIALIZE = "materialize"
    DELETE = "delete"
    OBSERVE = "observe"
    PROBE = "probe"


@dataclass(frozen=True, slots=True)
class KindTraits:
    """The properties of one kind of operation.

    Attributes:
        command: the kind in the job protocol, in operation ids and in ops runs.
        lane: operations of another lane may run at the same time.
        priority: the lowest number of its lane starts first.
        request: the part of the job request that it needs.
        imports_repo_code: its job runs the code of the repo, so the revision has to be exact.
        writes_registry: its job changes the Feast registry.
        writes_online_store: its job changes the online store.
        verified: a process without repo code compares the registry with the report.
        yields: it takes long, and its job is cancelled if an operation with priority is due in its
            lane. No kind sets it today.
        feast_name: the operation as Feast records it, "" if Feast has no name for it.
        success: the result of a successful operation.
    """

    command: str
    lane: Lane
    priority: int
    request: RequestPart = RequestPart.NONE
    imports_repo_code: bool = False
    writes_registry: bool = False
    writes_online_store: bool = False
    verified: bool = False
    yields: bool = False
    feast_name: str = ""
    success: Result = Result.SUCCEEDED

    @property
    def plans(self) -> bool:
        """Whether it compares the newest revision with the registry, for `status.lastApply`."""
        return self.request is RequestPart.APPLY

    @property
    def materializes(self) -> bool:
        """Whether it loads views into the online store."""
        return self.request is RequestPart.MATERIALIZE


KINDS: Final[Mapping[OperationKind, KindTraits]] = {
    OperationKind.DELETE: KindTraits(
        command="delete",
        lane=Lane.WRITING,
        priority=0,
        request=RequestPart.DELETE,
        writes_registry=True,
        writes_online_store=True,
        verified=True,
    ),
    OperationKind.APPLY: KindTraits(
        command="apply",
        lane=Lane.WRITING,
        priority=1,
        request=RequestPart.APPLY,
        imports_repo_code=True,
        writes_registry=True,
        writes_online_store=True,
        verified=True,
        feast_name="apply",
    ),
    # A plan writes nothing. Inputs, guard and result are those of an apply, which it
    # replaces if spec.apply.mode is PlanOnly.
    OperationKind.PLAN: KindTraits(
        command="plan",
        lane=Lane.WRITING,
        priority=1,
        request=RequestPart.APPLY,
        imports_repo_code=True,
        success=Result.PLANNED,
    ),
    OperationKind.MATERIALIZE: KindTraits(
        command="materialize",
        lane=Lane.WRITING,
        priority=2,
        request=RequestPart.MATERIALIZE,
        writes_registry=True,
        writes_online_store=True,
        verified=True,
        feast_name="materialize",
    ),
    OperationKind.BACKFILL: KindTraits(
        command="materialize",
        lane=Lane.WRITING,
        priority=3,
        request=RequestPart.MATERIALIZE,
        writes_registry=True,
        writes_online_store=True,
        verified=True,
        feast_name="materialize",
    ),
    OperationKind.OBSERVE: KindTraits(
        command="observe", lane=Lane.READING, priority=0, request=RequestPart.OBSERVE
    ),
    OperationKind.PROBE: KindTraits(
        command="probe", lane=Lane.READING, priority=1, request=RequestPart.PROBE
    ),
}


def kind_of_command(command: str) -> OperationKind:
    """The kind of a command of the job protocol; `materialize` is Materialize.

    Raises:
        ValueError: there is no such command.
    """
    for kind, traits in KINDS.items():
        if traits.command == command:
            return kind
    known = ", ".join(sorted({traits.command for traits in KINDS.values()}))
    raise ValueError(f"{command!r} is no command of the job protocol; there are {known}")
