"""Finds the features of a model version, from records that may be truncated or contradict.

Feast records the features of a training run in tags. It truncates the list at 4,990 characters,
overwrites the tags at the next retrieval, and names the smallest service that has all the features,
whether or not that service was used. So a list counts only if it is established as that of training
(`training_list`) and its length is the recorded count, and a service name only if the projection of
the service is that list. Tags and artifacts are untrusted: a record that does not parse is ignored.
"""

from dataclasses import dataclass, replace

from feature_lineage.api.enums import LineageOrigin as Origin
from feature_lineage.features.refs import FeatureRef
from feature_lineage.features.services import ServiceMember
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.models.facts import ModelVersion, TrainingRun
from feature_lineage.models.link import Link, OnConflict
from feature_lineage.models.projections import Projections, refs_of
from feature_lineage.models.recorded import (
    PROJECT_TAG,
    SERVICE_TAG,
    FeatureRecord,
    count_in,
    is_reference,
    projects_of,
    run_tag_record,
    version_tag_record,
    without_records,
)
from feature_lineage.models.training_list import TrainingList, training_list
from feature_lineage.reasons import Reason

__all__ = ["Link", "OnConflict", "resolve_link"]


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
    training = training_list(version, run)
    version = _without_copies(version, run, training)
    tagged = version_tag_record(version, training.count)
    registries = tuple(s for s in (trained_on, snapshot) if s is not None)
    expected = project or next((s.project for s in registries), "")
    named, declared = projects_of(version, run), declared_service or ""
    recorded = version.tags.get(SERVICE_TAG) or training.service
    services = Projections(registries, (recorded, declared)).with_lost(
        (*training.records, *training.possible)
    )
    link = Link(project=next((p for p in named if p != expected), expected))
    if not (training.records or tagged or training.doubt or recorded or declared):
        return replace(link, reason=Reason.NO_FEAST_LINEAGE, problems=training.notes)
    if expected and link.project != expected:
        note = f"{PROJECT_TAG} is {link.project!r}, the resource belongs to {expected!r}"
        link = replace(link, recorded_service=recorded)
        return replace(link, reason=Reason.PROJECT_MISMATCH, problems=(note,))
    training = _settled(training, version, tagged, services)
    if training.doubt:
        tagged, count = None, None
    else:
        count = training.count if training.count is not None else count_in(version.tags)
    link = replace(link, recorded_service=recorded, count=count)
    return _Resolver(link, training, tagged, services, declared, on_conflict).resolve()


def _without_copies(
    version: ModelVersion, run: TrainingRun | None, training: TrainingList
) -> ModelVersion:
    """The version without tags that copy those of its run, where the latter are not of training.

    An earlier version of the operator made such copies.
    """
    tagged = version_tag_record(version, None)
    last = run_tag_record(run) if run is not None else None
    if tagged is None or last is None or set(tagged.items) != set(last.items):
        return version
    if any(set(record.items) == set(last.items) for record in training.records):
        return version
    return without_records(version)


def _settled(
    training: TrainingList,
    version: ModelVersion,
    tagged: FeatureRecord | None,
    services: Projections,
) -> TrainingList:
    """Without the doubt, if the signature of the model or the tags of the version remove it."""
    if not training.doubt:
        return training
    inputs = version.logged.inputs if version.logged is not None else None
    read = [record for record in training.possible if services.read_by(inputs, record)]
    if len({frozenset(services.refs(record)) for record in read}) == 1:
        return replace(training, records=(read[0],), count=read[0].count, doubt="")
    if tagged is not None and services.precise(tagged):
        return TrainingList()
    return training


@dataclass(frozen=True, slots=True)
class _Resolver:
    link: Link
    training: TrainingList
    tagged: FeatureRecord | None
    services: Projections
    declared: str
    on_conflict: OnConflict

    @property
    def records(self) -> tuple[FeatureRecord, ...]:
        return (*self.training.records, *((self.tagged,) if self.tagged is not None else ()))

    def resolve(self) -> Link:
        """The most precise list, then the service that it belongs to."""
        if self.training.doubt:
            return self._declared_or_ambiguous(self.training.doubt)
        precise = [record for record in self.records if self.services.precise(record)]
        lists = [self.services.refs(record) for record in precise]
        tagged = next((r for r in precise if r.origin is Origin.VERSION_TAG), None)
        if len(set(map(frozenset, lists))) > 1 and tagged is not None and precise[0] is not tagged:
            note = f"{precise[0].named} and {tagged.named} name different features"
            return self._declared_or_ambiguous(note)
        if precise:
            refs, origin = lists[0], precise[0].origin
            if self.training.nested and origin is not Origin.VERSION_TAG:
                origin = Origin.PARENT_RUN
            return self._attribute(replace(self.link, refs=refs, origin=origin), precise[0])
        return self._from_registry() or self._declared_or_ambiguous(*map(str, self.records))

    def _from_registry(self) -> Link | None:
        """The projection of the recorded service, if it can be the recorded list."""
        name = self.link.recorded_service
        members = self.services.members(name)
        if self.link.count is None or members is None or not self._may_be(members):
            return None
        found = replace(self.link, refs=refs_of(members), origin=Origin.REGISTRY)
        return self._attribute(found, None)

    def _declared_or_ambiguous(self, *notes: str) -> Link:
        """The declared service, unless a record contradicts it."""
        recorded = self.link.recorded_service
        if not self.services.registries:
            return replace(self.link, reason=Reason.REGISTRY_UNSEEN, problems=notes)
        members = self.services.members(self.declared)
        overrule = self.on_conflict == "UseDeclared"
        if members is not None and (overrule or self._may_be(members) or self._is_one(members)):
            declared = self._as_declared(members)
            if overrule or recorded in ("", self.declared) or self.link.count is not None:
                return declared
            note = f"recorded service is {recorded}, declared is {self.declared}"
            return replace(declared, reason=Reason.SERVICE_MISMATCH, problems=(note,))
        if recorded and not self.records and not self.training.doubt:
            notes += (
                f"only the name of service {recorded} is recorded, and Feast may have guessed it",
            )
        if members is not None:
            note = f"declared service {self.declared} has {len(members)} other features"
            notes += (f"{note}; set spec.onConflict: UseDeclared if the records are wrong",)
        elif self.declared:
            note = f"declared service {self.declared} is not in the registry"
            notes += (f"{note}; correct spec.featureService, or apply the service",)
        else:
            notes += ("declare the service in spec.featureService",)
        contradictory = any(self.services.precise(record) for record in self.records)
        certain = () if contradictory else self._certain()
        notes = (*self.training.notes, *notes)
        return replace(self.link, refs=certain, reason=Reason.AMBIGUOUS, problems=notes)

    def _certain(self) -> tuple[FeatureRef, ...]:
        """The longest part of a list that is incomplete."""
        partial = (self.services.refs(record) for record in self.records if record.partial)
        return max(partial, key=len, default=())

    def _as_declared(self, members: tuple[ServiceMember, ...]) -> Link:
        refs = refs_of(members)
        return replace(self.link, service=self.declared, refs=refs, origin=Origin.DECLARED)

    def _attribute(self, link: Link, record: FeatureRecord | None) -> Link:
        """Name the service that the list belongs to: the declared, else the recorded one."""
        exact = self._service_of_list(link, record)
        if not self.declared:
            if exact == link.recorded_service or not link.recorded_service:
                return replace(link, service=exact)
            note = (
                f"recorded service {link.recorded_service} does not have exactly the "
                f"{len(link.refs)} features recorded; the list counts"
            )
            return replace(link, service=exact, reason=Reason.SERVICE_MISMATCH, problems=(note,))
        members = self.services.members(self.declared)
        overrule = self.on_conflict == "UseDeclared"
        if members is None:
            unknown = not self.services.registries
            if overrule or unknown or self.declared == link.recorded_service:
                return replace(link, service=self.declared)
            note = f"declared service {self.declared} is not in the registry"
        elif set(refs_of(members)) == set(link.refs):
            return replace(link, service=self.declared)
        elif overrule:
            return self._as_declared(members)
        else:
            note = (
                f"declared service {self.declared} does not have exactly the {len(link.refs)} "
                "features recorded; the list counts"
            )
        return replace(link, service=exact, reason=Reason.SERVICE_MISMATCH, problems=(note,))

    def _service_of_list(self, link: Link, record: FeatureRecord | None) -> str:
        """The recorded service, or one that is spelled like the list; "" if both are another."""
        recorded = link.recorded_service
        members = self.services.members(recorded)
        if recorded and (members is None or set(refs_of(members)) == set(link.refs)):
            return recorded
        return self.services.exact(record) if record is not None and record.replaced else ""

    def _may_be(self, members: tuple[ServiceMember, ...]) -> bool:
        """Whether no record contradicts that these are the features."""
        if self.link.count is not None and len(members) != self.link.count:
            return False
        own = {member.spelled for member in members} | {str(member.ref) for member in members}
        return all(set(filter(is_reference, record.items)) <= own for record in self.records)

    def _is_one(self, members: tuple[ServiceMember, ...]) -> bool:
        """Whether the features are one of the lists that contradict each other."""
        precise = (record for record in self.records if self.services.precise(record))
        return any(set(self.services.refs(record)) == set(refs_of(members)) for record in precise)
