"""The two resources: defaults, immutability, and a round trip through JSON."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from feature_lineage.api import Condition, Duration, FeatureStoreProject, TrainedModel
from feature_lineage.api.enums import (
    ApplyMode,
    DeletionPolicy,
    Harm,
    NamespacesFrom,
    OnConflict,
    OnGuardUnavailable,
    OnUnknown,
    OperationKind,
    OperationPhase,
    OverrideKind,
    ProtectionMode,
    ReadyRequirement,
    Result,
    TagsMode,
)
from feature_lineage.api.mlflow_spec import MlflowSpec
from feature_lineage.api.model_spec import ModelRef, ProjectRef, TrainedModelSpec
from feature_lineage.api.operation_status import OperationRecord, OperationStatus, OverrideStatus
from feature_lineage.api.project_spec import FeatureStoreProjectSpec
from feature_lineage.api.project_status import FeatureStoreProjectStatus, FeatureViewStatus
from feature_lineage.api.schedules import CRON_PATTERN, Backfill, Schedule
from feature_lineage.api.sources import GitRef, GitSource, ImageSource, Source

IMAGE = {"image": {"path": "/repo"}}


def project(**spec):
    return FeatureStoreProject.model_validate(
        {"metadata": {"name": "drivers"}, "spec": {"project": "p", "source": IMAGE, **spec}}
    )


def test_a_minimal_project_has_every_default():
    spec = project(mlflow={"serverRef": "prod"}, registry={}).spec

    assert spec.suspend is False
    assert spec.source is not None
    assert spec.source.poll_interval == timedelta(minutes=5)
    assert spec.runtime.timeout == timedelta(hours=1)
    assert spec.runtime.retries == 3
    assert spec.apply.mode is ApplyMode.AUTO
    assert spec.apply.prune is True
    protection = spec.apply.protection
    assert protection.mode is ProtectionMode.ENFORCE
    assert protection.block_on == (Harm.BROKEN,)
    assert protection.aliases.include == protection.models.include == ("*",)
    assert protection.aliases.exclude == protection.models.exclude == ()
    assert protection.on_unknown is OnUnknown.WARN
    assert protection.on_guard_unavailable is OnGuardUnavailable.BLOCK
    assert protection.max_guard_age == timedelta(minutes=10)
    assert spec.registry is not None
    assert spec.registry.poll_interval == timedelta(hours=1)
    assert spec.mlflow is not None
    assert spec.mlflow.poll_interval == timedelta(seconds=30)
    assert spec.mlflow.log_operations is True
    assert spec.mlflow.ops_experiment_suffix == "-feast-ops"
    assert spec.deletion_policy is DeletionPolicy.RETAIN
    assert spec.allowed_namespaces.from_ is NamespacesFrom.SAME
    assert spec.schedules == spec.backfills == ()


def test_schedules_and_backfills_have_their_defaults():
    schedule = Schedule.model_validate({"name": "a", "cron": "5 * * * *", "incremental": {}})
    backfill = Backfill.model_validate(
        {"name": "b", "start": "2026-07-01T00:00:00Z", "end": "2026-07-02T00:00:00Z"}
    )

    assert schedule.time_zone == "UTC"
    assert schedule.starting_deadline == timedelta(minutes=30)
    assert schedule.views == ()
    assert backfill.chunk == timedelta(days=1)


def test_a_minimal_model_has_every_default():
    model = TrainedModel.model_validate(
        {
            "metadata": {"name": "m"},
            "spec": {"projectRef": {"name": "p"}, "model": {"name": "m", "alias": "champion"}},
        }
    )

    assert model.metadata.namespace == "default"
    assert model.spec.on_conflict is OnConflict.REPORT
    assert model.spec.tags.mode is TagsMode.ALL
    assert model.spec.ready_requires is None
    assert model.spec.suspend is False
    assert model.status.lineage is None


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, None),
        ({"registry": {"pollInterval": "10m"}}, timedelta(minutes=10)),
        ({"apply": {"mode": "Observe"}}, timedelta(hours=1)),
        ({"apply": {"mode": "Observe"}, "registry": {"pollInterval": "5m"}}, timedelta(minutes=5)),
    ],
)
def test_observe_has_a_default_interval(spec, expected):
    assert project(**spec).spec.registry_poll_interval == expected


@given(st.from_regex(CRON_PATTERN, fullmatch=True))
def test_cron_is_valid_or_refused_with_its_field(cron):
    complaint = None
    try:
        Schedule.model_validate({"name": "a", "cron": cron, "incremental": {}})
    except ValidationError as error:
        complaint = error.errors()[0]["msg"]

    if complaint is None:
        assert next(CronSim(cron, datetime(2026, 7, 1, tzinfo=UTC)))
    else:
        assert re.search("never matches a time: correct its|at most 128 characters", complaint)


def test_specs_and_statuses_are_frozen():
    resource = project()

    with pytest.raises(ValidationError, match="frozen"):
        resource.spec.suspend = True
    with pytest.raises(ValidationError, match="frozen"):
        resource.status.sequence = 1


def test_unknown_field_is_an_error_in_the_spec_only():
    with pytest.raises(ValidationError, match=r"spec\.apply\.prone"):
        project(apply={"prone": True})

    assert FeatureStoreProjectStatus.model_validate({"news": 1}) == FeatureStoreProjectStatus()


def test_metadata_of_a_cluster_is_read_and_the_rest_passed_over():
    resource = FeatureStoreProject.model_validate(
        {
            "metadata": {
                "name": "drivers",
                "namespace": "ml",
                "uid": "u",
                "generation": 3,
                "resourceVersion": "77",
                "creationTimestamp": "2026-07-01T00:00:00Z",
                "managedFields": [{"manager": "kubectl"}],
                "ownerReferences": [
                    {"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "x"}
                ],
            },
            "spec": {"project": "p", "source": IMAGE},
        }
    )

    assert resource.metadata.generation == 3
    assert resource.metadata.creation_timestamp == datetime(2026, 7, 1, tzinfo=UTC)
    assert resource.metadata.owner_references[0].name == "o"


names = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)
views = st.lists(st.text(min_size=1, max_size=20), unique=True, max_size=3).map(tuple)
durations = st.builds("{}{}".format, st.integers(60, 9999), st.sampled_from("smhd")).map(Duration)
moments = st.integers(0, 4_000_000_000).map(lambda second: datetime.fromtimestamp(second, UTC))
maybe_moments = st.none() | moments


def unique(items, key="name"):
    return st.lists(items, max_size=3, unique_by=lambda item: getattr(item, key)).map(tuple)


schedules = st.builds(
    Schedule,
    name=names,
    cron=st.sampled_from(["5 * * * *", "*/10 0-6 1,15 JAN-MAR MON"]),
    views=views,
    incremental=st.just({}),
    timeout=st.none() | durations,
)
backfills = st.builds(
    lambda name, start, length, chunk: Backfill(
        name=name, start=start, end=start + length, chunk=chunk
    ),
    names,
    moments,
    st.timedeltas(timedelta(seconds=1), timedelta(days=400)).map(
        lambda length: timedelta(seconds=int(length.total_seconds()))
    ),
    durations,
)
sources = st.builds(Source, image=st.just(ImageSource(path="/repo")), poll_interval=durations) | (
    st.builds(
        Source,
        git=st.builds(
            GitSource,
            url=st.just("https://git.example.org/a.git"),
            ref=st.builds(GitRef, branch=names) | st.builds(GitRef, tag=names),
        ),
    )
)
project_specs = st.builds(
    FeatureStoreProjectSpec,
    project=st.from_regex(r"[a-zA-Z0-9_]{1,63}", fullmatch=True),
    suspend=st.booleans(),
    source=sources,
    schedules=unique(schedules),
    backfills=unique(backfills),
    mlflow=st.none() | st.builds(MlflowSpec, server_ref=names),
)
model_specs = st.builds(
    TrainedModelSpec,
    projectRef=st.builds(ProjectRef, name=names, namespace=st.none() | names),
    model=st.builds(ModelRef, name=st.text(min_size=1, max_size=99), alias=names)
    | st.builds(ModelRef, name=names, version=st.integers(1, 999).map(str)),
    on_conflict=st.sampled_from(OnConflict),
    ready_requires=st.lists(st.sampled_from(ReadyRequirement), unique=True).map(tuple),
)
operations = st.builds(
    OperationStatus,
    id=names,
    kind=st.sampled_from(OperationKind),
    phase=st.sampled_from(OperationPhase),
    not_before=maybe_moments,
)
records = st.builds(
    OperationRecord,
    id=names,
    kind=st.sampled_from(OperationKind),
    started_at=maybe_moments,
    result=st.none() | st.sampled_from(Result),
    override=st.none()
    | st.builds(OverrideStatus, kind=st.sampled_from(OverrideKind), why=st.text()),
)
statuses = st.builds(
    FeatureStoreProjectStatus,
    sequence=st.integers(0, 9999),
    operation=st.none() | operations,
    operations=unique(records, "id"),
    feature_views=unique(
        st.builds(
            FeatureViewStatus,
            name=names,
            materialized_until=maybe_moments,
            max_age=st.none() | durations,
            last_duration_seconds=st.none() | st.floats(0, 1e6),
        )
    ),
    conditions=unique(
        st.builds(
            Condition,
            type=st.sampled_from(["Ready", "Fresh"]),
            status=st.sampled_from(["True", "False", "Unknown"]),
            reason=st.just("Succeeded"),
            message=st.text(),
            lastTransitionTime=moments,
        ),
        "type",
    ),
)


@given(project_specs | model_specs | statuses)
def test_what_is_printed_reads_back_the_same(value):
    printed = value.as_dict()

    again = type(value).model_validate(printed, by_alias=True, by_name=False)

    assert again == value
    assert again.as_dict() == printed
