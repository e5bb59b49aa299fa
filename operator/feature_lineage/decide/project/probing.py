"""Probes of the online store: what is asked, when, and what is kept of the answers."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from feature_lineage.api.enums import OperationKind, ProbeSkew, Result
from feature_lineage.api.project_status import FeatureStoreProjectStatus, ProbeStatus
from feature_lineage.decide.budget import ERROR, fit
from feature_lineage.decide.decision import KeepProbe
from feature_lineage.decide.facts import SourceFacts
from feature_lineage.decide.observed import ModelFacts, ObservedProject
from feature_lineage.decide.project.due_operation import DecisionInput, DueOperation
from feature_lineage.decide.project.step import Step
from feature_lineage.features.definitions import feeding_views
from feature_lineage.features.refs import FeatureRef
from feature_lineage.features.services import service_members
from feature_lineage.features.snapshot import ON_DEMAND, JsonObject, RegistrySnapshot
from feature_lineage.features.views import ttl_seconds
from feature_lineage.operations.job_report import JobReport
from feature_lineage.operations.kinds import KINDS
from feature_lineage.operations.probe_answer import BAD
from feature_lineage.operations.probe_record import CONFIRM_SERVER_AFTER, ProbeRecord
from feature_lineage.operations.probe_request import MAX_QUESTIONS, ProbeRequest
from feature_lineage.operations.sampled_keys import MAX_SAMPLED, SampledKeys
from feature_lineage.operations.serving import Question, key_of_question, question_for

READ_AGAIN_AFTER: Final = timedelta(days=1)
"""The source of a view that somebody else materializes is read once in this time."""
READING: Final = "sources"
"""Phase of a probe's job."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
CONFIRM_AFTER: Final = timedelta(seconds=30)
"""A bad answer counts after a second probe, which comes so soon."""
SERVER_AGAIN_AFTER: Final = timedelta(minutes=10)
"""A feature server at fault is asked again so soon: nothing else says that it is mended."""


def questions(models: ModelFacts | None) -> tuple[Question, ...]:
    """The retrievals of the versions with an alias, and of the declared ones; equal ones once."""
    if models is None:
        return ()
    aliased = (item for item in models.linked if item.version.aliases)
    asked = (
        question_for(item.link.service, item.link.refs, item.link.names)
        for item in (*aliased, *models.declared)
        if item.link.complete and item.link.refs
    )
    return tuple(dict.fromkeys(asked))[:MAX_QUESTIONS]


def probe_due(given: DecisionInput) -> DueOperation | None:
    """A probe after each operation that may change the online store, after the interval, and on
    request.
    """
    observed, status = given.observed, given.status
    if not observed.resource.spec.is_probed or observed.deleted or status.registry is None:
        return None
    if not questions(observed.models):
        return None
    since = next_probe(observed, status) or observed.now
    if since > observed.now and not observed.requested:
        return None
    source = observed.source.revision if isinstance(observed.source, SourceFacts) else ""
    revision = (status.applied.revision if status.applied else None) or source
    return DueOperation(OperationKind.PROBE, min(since, observed.now), revision=revision)


def next_probe(observed: ObservedProject, status: FeatureStoreProjectStatus) -> datetime | None:
    """When the next probe is due; None: now, or never without `spec.probe`."""
    interval = observed.resource.spec.probe_interval
    probed = status.probe
    tried = status.newest(OperationKind.PROBE)
    last = max(
        (at for at in (probed and probed.at, tried and tried.finished_at) if at), default=None
    )
    if last is None or interval is None:
        return None
    # What was written while the probe ran, it may have missed.
    since = tried.started_at if tried is not None and tried.started_at is not None else last
    wrote = max(
        (
            operation.finished_at
            for operation in status.operations
            if KINDS[operation.kind].writes_online_store and operation.finished_at
        ),
        default=since,
    )
    if wrote > since:
        return wrote
    failed = tried is not None and tried.result is Result.FAILED
    return last + (interval if failed else min(_again_after(observed, status), interval))


def _again_after(observed: ObservedProject, status: FeatureStoreProjectStatus) -> timedelta:
    """When the next probe is due: sooner if a bad answer is not confirmed, or an answer is missing
    or lost.
    """
    record = observed.probe or ProbeRecord()
    faults = [each for each in record.answers.values() if each.answer.server_at_fault]
    if status.probe is not None and status.probe.unconfirmed:
        of_server = any(not each.confirmed for each in faults)
        return CONFIRM_SERVER_AFTER if of_server else CONFIRM_AFTER
    asked = set(map(key_of_question, questions(observed.models)))
    server = server_to_ask(observed)
    others = (each.answer.server for each in record.answers.values())
    if (
        not record.answered(asked)
        or record.server != server
        or any(other is not None and other.url != server for other in others)
    ):
        return CONFIRM_AFTER
    return SERVER_AGAIN_AFTER if faults else timedelta.max


def server_to_ask(observed: ObservedProject) -> str:
    """Address of the feature server that a probe asks, too; "" for none."""
    return observed.resource.spec.feature_server if observed.server_refused is None else ""


def without_probe(observed: ObservedProject, step: Step) -> Step:
    """Without `spec.probe`, the record and its keys are emptied."""
    if observed.resource.spec.is_probed or step.status.probe is None:
        return step
    empty = KeepProbe(ProbeRecord())
    return replace(step, probe=None, before=(*step.before, empty)).update(probe=None)


def probe_request(
    observed: ObservedProject, snapshot: RegistrySnapshot | None, record: ProbeRecord | None
) -> ProbeRequest:
    """What the job retrieves, with the keys of the views that are in the registry."""
    keys: Mapping[str, SampledKeys] = record.keys if record is not None else {}
    if snapshot is not None:
        keys = {name: each for name, each in keys.items() if snapshot.view(name) is not None}
    asked, most = questions(observed.models), observed.resource.spec.probe_keys
    shown = observed.resource.status.feature_views
    never = {view.name for view in shown if view.materialized_until is None}
    unknown = _unknown_keys(asked, snapshot, record or ProbeRecord(), never, observed.now)
    last = observed.resource.status.newest(OperationKind.PROBE)
    failed = last is not None and last.result is Result.FAILED  # perhaps of the comparison
    due = record is not None and record.to_compare and not failed
    compares = observed.requested or due
    return ProbeRequest(
        questions=asked,
        keys=dict(keys),
        sources=unknown[: max(MAX_SAMPLED // max(most, 1), 1)],
        most=most,
        skew=observed.resource.spec.probe_skew if compares else ProbeSkew.OFF,
        server=server_to_ask(observed),
    )


def _unknown_keys(
    asked: Iterable[Question],
    snapshot: RegistrySnapshot | None,
    record: ProbeRecord,
    never: Set[str],
    now: datetime,
) -> tuple[str, ...]:
    """Views of the questions whose keys no materialization reported, each once a day.

    Args:
        never: views that nobody has materialized.
    """
    if snapshot is None:
        return ()
    found: set[str] = set()
    for question in asked:
        members = service_members(snapshot, question.service) if question.service else None
        own = {member.ref.view for member in members or ()}
        own |= {FeatureRef.parse(ref).view for ref in question.refs}
        found |= {each for view in own for each in feeding_views(snapshot, view)}
    return tuple(
        name
        for name in sorted(found - never, key=lambda each: (record.sought.get(each, _EPOCH), each))
        if (name in record.sought or not _usable(record.keys.get(name), snapshot.view(name), now))
        and (name not in record.sought or now - record.sought[name] >= READ_AGAIN_AFTER)
        and (view := snapshot.view(name)) is not None
        and view[0] != ON_DEMAND
    )


def _usable(keys: SampledKeys | None, view: tuple[str, JsonObject] | None, now: datetime) -> bool:
    """Whether a view has keys that are not all past its TTL."""
    if keys is None or view is None:
        return False
    ttl = ttl_seconds(view[1])
    return not ttl or any(key.at + timedelta(seconds=ttl) > now for key in keys.keys)


def probe_after(
    observed: ObservedProject,
    record: ProbeRecord | None,
    snapshot: RegistrySnapshot | None,
    report: JobReport | None,
) -> ProbeRecord | None:
    """The record after a report with keys or answers; None if it has neither."""
    if report is None or not observed.resource.spec.probe_keys:
        return None
    known = record or ProbeRecord()
    current = report.snapshot or snapshot
    if current is None:
        return None
    views = {name for _, name, _ in current.views()}
    sampled = {view.name: view.keys for view in report.views if view.keys is not None}
    if KINDS[report.kind].materializes and sampled:
        return known.with_keys(sampled, views, report.finished_at)
    if report.kind is OperationKind.PROBE and report.answers:
        read, at = report.source_keys, report.finished_at
        compares = observed.resource.spec.probe_skew is not ProbeSkew.OFF
        began = report.started_at
        return known.with_answers(
            report.answers,
            at,
            views,
            read,
            began,
            compares=compares,
            server=server_to_ask(observed),
        )
    return None


def after_dead_probe(
    observed: ObservedProject,
    record: ProbeRecord | None,
    snapshot: RegistrySnapshot | None,
    report: JobReport | None,
    message: str,
) -> ProbeRecord | None:
    """The record after a probe that failed, perhaps while it read sources; None if it did not.

    The next probe would die of the same read.

    Args:
        message: how it failed.
    """
    if report is not None and report.seconds and READING not in report.seconds:
        return None  # an error before the sources were read
    views = probe_request(observed, snapshot, record).sources
    if not views:
        return None
    why = f"a probe that was to read it failed: {message}; it is read again after a day"
    return (record or ProbeRecord()).with_unread(views, observed.now, fit(why, ERROR))


def probe_status(record: ProbeRecord, before: ProbeStatus | None) -> ProbeStatus:
    """The status that names the record."""
    answers = record.answers.values()
    at = max((each.at for each in answers), default=before.at if before else None)
    return ProbeStatus(
        at=at.replace(microsecond=0) if at is not None else None,
        digest=record.digest,
        questions=len(answers),
        failing=sum(each.confirmed and each.answer.finding in BAD for each in answers),
        unconfirmed=record.unconfirmed,
    )
