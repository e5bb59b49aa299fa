"""Which features a model version used: by precision, never by guess.

Feast records a training run's features in tags that it cuts at 4,990 characters, overwrites at
the next retrieval, and attributes to the smallest service that has all of them, whether or not it
was used. So a list is believed only where its length is the recorded count, and a service's name
only where its projection is that list. Tags and artifacts are untrusted: what does not parse is
not a list.
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
        project: Feast project, as recorded or else as expected; "" where neither.
        service: the service the model is held to: declared, or recorded with exactly this list;
            "" where the name proved to be a guess, or there is none.
        recorded_service: what the records name, right or wrong; "" where nothing.
        refs: the features, by the real names of their views, in recorded order. Of a list that
            is truncated beyond repair, the part that is certain.
        origin: where they come from; ``None`` where not known.
        count: recorded number of features, ``None`` where nothing recorded it.
        reason: of `LineageVerified`, where the link is not exactly what was recorded: Ambiguous,
            NoFeastLineage, ProjectMismatch, RegistryUnseen or ServiceMismatch; else ``None``.
        problems: the same in words.
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
    def complete(self) -> bool:
        """`refs` is the whole list: what a guard can be built on."""
        return bool(self.refs) and self.reason in (None, Reason.SERVICE_MISMATCH)

    @property
    def views(self) -> tuple[str, ...]:
        """Names of the views its features belong to, sorted."""
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
    """Which features a version used.

    Args:
        run: its training run, soft-deleted or not.
        snapshot: the registry as last read.
        declared_service: the service the resource declares.
        on_conflict: whether a declaration may replace a record that differs.
        project: the Feast project expected; the snapshot's by default.
        trained_on: the version's baseline, where kept: services are read as they were then, so
            that a later change of a service is a change and not another list.
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
        """The list first, by precision; then whose list it is."""
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
        """The recorded service's projection, if it can be the list that was recorded."""
        name = self.link.recorded_service
        members = self._members(name)
        if self.link.count is None or members is None or not self._may_be(members):
            return None
        found = replace(self.link, refs=_refs_of(members), origin=Origin.REGISTRY)
        return self._attribute(found)

    def _declared_or_ambiguous(self, *notes: str) -> Link:
        """What the resource declares, unless a record contradicts it."""
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
            # Nothing contradicts the declaration, but the service is not there.
            return replace(self.link, service=self.declared, origin=Origin.DECLARED)
        if not self.records:
            notes += (f"only the name of service {recorded} is recorded, which Feast may guess",)
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
        """The longest part of a list that could not be read whole."""
        partial = (self._refs(record.items) for record in self.records if record.partial)
        return max(partial, key=len, default=())

    def _as_declared(self, members: tuple[ServiceMember, ...]) -> Link:
        refs = _refs_of(members)
        return replace(self.link, service=self.declared, refs=refs, origin=Origin.DECLARED)

    def _attribute(self, link: Link) -> Link:
        """Whose list it is: the declared service's, else the recorded one's, where it matches."""
        exact = self._exact(link)
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

    def _exact(self, link: Link) -> str:
        """The recorded service, unless its projection shows that it is another list."""
        members = self._members(link.recorded_service)
        if members is None or set(_refs_of(members)) == set(link.refs):
            return link.recorded_service
        return ""

    def _may_be(self, members: tuple[ServiceMember, ...]) -> bool:
        """No record says that these are not the features."""
        if self.link.count is not None and len(members) != self.link.count:
            return False
        own = {member.spelled for member in members} | {str(member.ref) for member in members}
        return all(set(filter(is_reference, record.items)) <= own for record in self.records)

    def _members(self, service: str) -> tuple[ServiceMember, ...] | None:
        found = (service_members(registry, service) for registry in self.registries if service)
        return next((members for members in found if members is not None), None)

    def _refs(self, items: Iterable[str]) -> tuple[FeatureRef, ...]:
        """References by the views' real names: a service may have recorded its aliases."""
        parsed = tuple(ref for item in items if (ref := parse(item)) is not None)
        for service in (self.link.recorded_service, self.declared):
            own = {member.spelled: member.ref for member in self._members(service) or ()}
            if own.keys() >= {str(ref) for ref in parsed}:
                return tuple(dict.fromkeys(own[str(ref)] for ref in parsed))
        return tuple(dict.fromkeys(parsed))


def _refs_of(members: Iterable[ServiceMember]) -> tuple[FeatureRef, ...]:
    return tuple(dict.fromkeys(member.ref for member in members))
