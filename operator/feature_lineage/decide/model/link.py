"""Links the model versions of one project to its features, and selects the protected ones."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from feature_lineage.api.project_spec import Protection
from feature_lineage.api.project_status import AppliedStatus
from feature_lineage.decide.observed import LinkedVersion
from feature_lineage.features.definitions import FeatureDefinition, define_all
from feature_lineage.features.history import SnapshotRecord
from feature_lineage.features.signatures import signature_of
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.models.baseline import Baseline, choose_baseline, trained_at
from feature_lineage.models.facts import ModelVersion, RegistryView
from feature_lineage.models.links import OnConflict, resolve_link
from feature_lineage.models.recorded import PROJECT_TAG, own_records, projects_of
from feature_lineage.models.signature_problems import form_of_names
from feature_lineage.models.training_list import trained_in
from feature_lineage.models.verdicts import judge
from feature_lineage.operations.protection import GuardedModel, protected_aliases


def versions_of(view: RegistryView, project: str) -> tuple[ModelVersion, ...]:
    """Versions that name the Feast project, themselves or through their training run.

    A run without a name has that of the run in which it is nested.
    """
    found = []
    for versions in view.versions.values():
        for version in versions.values():
            named = version.tags.get(PROJECT_TAG)
            if named is None:
                named = next(iter(projects_of(version, view.run_of(version))), None)
            if named == project:
                found.append(version)
    return tuple(found)


def baseline_of(
    view: RegistryView,
    version: ModelVersion,
    history: Iterable[SnapshotRecord],
    current: SnapshotRecord | None,
    applied: AppliedStatus | None = None,
) -> Baseline | None:
    """The registry snapshot that a version is compared with.

    Args:
        applied: the last apply of the project. The timeline has one record for several revisions
            with the same registry; of these, the last one is known.
    """
    run = trained_in(version, view.run_of(version))
    baseline = choose_baseline(version.tags, run, version.created_at, history, current)
    if baseline is None or not baseline.revision or applied is None or applied.at is None:
        return baseline
    if trained_at(version, run) < applied.at or applied.registry_digest != baseline.digest:
        return baseline
    return replace(baseline, revision=applied.revision or "")


def link_version(
    view: RegistryView,
    version: ModelVersion,
    project: str,
    baseline: Baseline | None,
    baselines: Mapping[str, RegistrySnapshot],
    snapshot: RegistrySnapshot | None,
    *,
    declared_service: str | None = None,
    on_conflict: OnConflict = "Report",
) -> LinkedVersion:
    """One version with its features and its verdict."""
    trained_on = baselines.get(baseline.digest) if baseline is not None else None
    link = resolve_link(
        own_records(version) if declared_service else version,
        view.run_of(version),
        snapshot,
        declared_service,
        on_conflict,
        project=project,
        trained_on=trained_on,
    )
    logged, against = version.logged, trained_on or snapshot
    if against is not None and logged is not None and logged.inputs:
        signature = signature_of(against, link.service, link.refs)
        link = replace(link, names=form_of_names(logged.inputs, signature))
    judgement = judge(
        link,
        trained_on,
        baseline.frm if baseline is not None else "FirstSight",
        snapshot,
        recorded_digest=baseline.schema_digest if baseline is not None else None,
    )
    return LinkedVersion(version, link, baseline, judgement)


def guarded_model(
    item: LinkedVersion,
    baselines: Mapping[str, RegistrySnapshot],
    snapshot: RegistrySnapshot | None,
    policy: Protection,
) -> GuardedModel | None:
    """A protected version with its features at training time; None if it is not protected.

    A version whose features are not known has no `refs`.
    """
    version, link = item.version, item.link
    aliases = protected_aliases(version.aliases, policy.aliases, version.name, policy.models)
    if not aliases:
        return None
    trained_on = baselines.get(item.baseline.digest) if item.baseline is not None else None
    against = (trained_on or snapshot) if link.complete else None
    definitions: tuple[FeatureDefinition, ...] = ()
    if against is not None:
        definitions = define_all(against, link.refs, link.service)
    return GuardedModel(
        version.name,
        version.version,
        aliases,
        link.service,
        tuple(sorted(definitions, key=lambda definition: str(definition.ref))),
        tuple(sorted(link.refs, key=str)) if link.complete else (),
        signature_of(against, link.service, link.refs) if against is not None else None,
        link.names,
    )
