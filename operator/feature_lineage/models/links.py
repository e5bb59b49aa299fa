"""Finds the features of a model version, from records that may be truncated or wrong.

Feast records the features of a training run in tags. It truncates the list at 4,990 characters,
overwrites the tags at the next retrieval, and names the smallest service that has all the features,
whether or not that service was used. So a list counts only if its length is the recorded count, and
a service name only if the projection of the service is that list. Tags and artifacts are untrusted:
a record that does not parse is ignored.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from feature_lineage.api.enums import LineageOrigin as Origin
from feature_lineage.features.refs import FeatureRef
from feature_lineage.features.services import ServiceMember, service_members
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.models.facts import ModelVersion, TrainingRun
from feature_lineage.models.recorded import (
    PROJECT_TAG,
    REFS_TAG,
    SERVICE_TAG,
    FeatureRecord,
    count_of,
    is_reference,
    parse,
    projects_of,
    records_of,
)
from feature_lineage.reasons import Reason

__all__ = ["Link", "OnConflict", "resolve_link"]

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
        problems: explanations of `reason`.
    """

    project: str = ""
    service: str = ""
    recorded_service: str = ""
    refs: tuple[FeatureRef, ...] = ()
    origin: Origin | None = None
    count: int | None = None
    reason: Reason | None = None
    problems: tuple[str, ...] = ()

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


def resolve_link(
    version: ModelVersion,
    run: TrainingRun | None,
    snapshot: RegistrySnapshot | None,
    declared_service: str | None = None,
    on_conflict: OnConflict = "Report",
    *,
    project: str = "",
    trained_on: RegistrySnapshot | None = None,
) -> Link:
    """The features that a version uses.

    Args:
        run: its training run, soft-deleted or not.
        snapshot: the registry as last read.
        declared_service: the service that the resource declares.
        on_conflict: whether a declaration replaces a record that differs.
        project: the expected Feast project; by default that of the snapshot.
        trained_on: the baseline of the version, where kept. Services are read from it first, so
            that a later change of a service counts as a change and not as another list.
    """
    records = tuple(records_of(version, run))
    recorded_service = version.tags.get(SERVICE_TAG) or (run.tags.get(SERVICE_TAG) if run else "")
    registries = tuple(s for s in (trained_on, snapshot) if s is not None)
    expected = project or next((s.project for s in registries), "")
    named = projects_of(version, run)
    link = Link(
        project=next((p for p in named if p != expected), expected),
        recorded_service=recorded_service or "",
        count=count_of(version, run),
    )
    if not records and not link.recorded_service and not declared_service:
        return replace(link, reason=Reason.NO_FEAST_LINEAGE)
    if expected and link.project != expected:
        note = f"{PROJECT_TAG} is {link.project!r}, the resource belongs to {expected!r}"
        return replace(link, reason=Reason.PROJECT_MISMATCH, problems=(note,))
    resolver = _Resolver(link, records, registries, declared_service or "", on_conflict)
    return resolver.resolve()


@dataclass(frozen=True, slots=True)
class _Resolver:
    link: Link
    records: tuple[FeatureRecord, ...]
    registries: tuple[RegistrySnapshot, ...]
    declared: str
    on_conflict: OnConflict

    def resolve(self) -> Link:
        """The most precise list, then the service that it belongs to."""
        precise = [record for record in self.records if record.precise]
        lists = {record.origin: frozenset(self._refs(record.items)) for record in precise}
        if (
            Origin.RUN_TAG in lists
            and lists.get(Origin.VERSION_TAG, lists[Origin.RUN_TAG]) != (lists[Origin.RUN_TAG])
        ):
            return self._declared_or_ambiguous(
                f"run tag and version tag {REFS_TAG} name different features"
            )
        if precise:
            refs = self._refs(precise[0].items)
            return self._attribute(replace(self.link, refs=refs, origin=precise[0].origin))
        return self._from_registry() or self._declared_or_ambiguous(*map(str, self.records))

    def _from_registry(self) -> Link | None:
        """The projection of the recorded service, if it can be the recorded list."""
        name = self.link.recorded_service
        members = self._members(name)
        if self.link.count is None or members is None or not self._may_be(members):
            return None
        found = replace(self.link, refs=_refs_of(members), origin=Origin.REGISTRY)
        return self._attribute(found)

    def _declared_or_ambiguous(self, *notes: str) -> Link:
        """The declared service, unless a record contradicts it."""
        recorded = self.link.recorded_service
        if not self.registries:
            return replace(self.link, reason=Reason.REGISTRY_UNSEEN, problems=notes)
        members = self._members(self.declared)
        overrule = self.on_conflict == "UseDeclared"
        if members is not None and (overrule or self._may_be(members)):
            declared = self._as_declared(members)
            if overrule or recorded in ("", self.declared) or self.link.count is not None:
                return declared
            note = f"recorded service is {recorded}, declared is {self.declared}"
            return replace(declared, reason=Reason.SERVICE_MISMATCH, problems=(note,))
        if self.declared and members is None and not self.records and not recorded:
            # No record contradicts the declaration, but the registry has no such service.
            return replace(self.link, service=self.declared, origin=Origin.DECLARED)
        if not self.records:
            notes += (
                f"only the name of service {recorded} is recorded, and Feast may have guessed it",
            )
        if members is not None:
            notes += (f"declared service {self.declared} has {len(members)} other features",)
        elif self.declared:
            notes += (f"declared service {self.declared} is not in the registry",)
        else:
            notes += ("declare the service in spec.featureService",)
        contradictory = any(record.precise for record in self.records)
        certain = () if contradictory else self._certain()
        return replace(self.link, refs=certain, reason=Reason.AMBIGUOUS, problems=notes)

    def _certain(self) -> tuple[FeatureRef, ...]:
        """The longest part of a list that is incomplete."""
        partial = (self._refs(record.items) for record in self.records if record.partial)
        return max(partial, key=len, default=())

    def _as_declared(self, members: tuple[ServiceMember, ...]) -> Link:
        refs = _refs_of(members)
        return replace(self.link, service=self.declared, refs=refs, origin=Origin.DECLARED)

    def _attribute(self, link: Link) -> Link:
        """Name the service that the list belongs to: the declared, else the recorded one."""
        exact = self._service_of_list(link)
        if not self.declared:
            if exact or not link.recorded_service:
                return replace(link, service=exact)
            note = (
                f"recorded service {link.recorded_service} does not have exactly the "
                f"{len(link.refs)} features recorded; the list counts"
            )
            return replace(link, reason=Reason.SERVICE_MISMATCH, problems=(note,))
        members = self._members(self.declared)
        overrule = self.on_conflict == "UseDeclared"
        if members is None:
            if overrule or not self.registries or self.declared == link.recorded_service:
                return replace(link, service=self.declared)
            note = f"declared service {self.declared} is not in the registry"
        elif set(_refs_of(members)) == set(link.refs):
            return replace(link, service=self.declared)
        elif overrule:
            return self._as_declared(members)
        else:
            note = (
                f"declared service {self.declared} does not have exactly the {len(link.refs)} "
                "features recorded; the list counts"
            )
        return replace(link, service=exact, reason=Reason.SERVICE_MISMATCH, problems=(note,))

    def _service_of_list(self, link: Link) -> str:
        """The recorded service, or "" if its projection is another list."""
        members = self._members(link.recorded_service)
        if members is None or set(_refs_of(members)) == set(link.refs):
            return link.recorded_service
        return ""

    def _may_be(self, members: tuple[ServiceMember, ...]) -> bool:
        """Whether no record contradicts that these are the features."""
        if self.link.count is not None and len(members) != self.link.count:
            return False
        own = {member.spelled for member in members} | {str(member.ref) for member in members}
        return all(set(filter(is_reference, record.items)) <= own for record in self.records)

    def _members(self, service: str) -> tuple[ServiceMember, ...] | None:
        found = (service_members(registry, service) for registry in self.registries if service)
        return next((members for members in found if members is not None), None)

    def _refs(self, items: Iterable[str]) -> tuple[FeatureRef, ...]:
        """References by the real names of views: records may have the aliases of a service."""
        parsed = tuple(ref for item in items if (ref := parse(item)) is not None)
        for service in (self.link.recorded_service, self.declared):
            own = {member.spelled: member.ref for member in self._members(service) or ()}
            if own.keys() >= {str(ref) for ref in parsed}:
                return tuple(dict.fromkeys(own[str(ref)] for ref in parsed))
        return tuple(dict.fromkeys(parsed))


def _refs_of(members: Iterable[ServiceMember]) -> tuple[FeatureRef, ...]:
    return tuple(dict.fromkeys(member.ref for member in members))
