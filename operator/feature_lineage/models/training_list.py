"""Finds which recorded list of features is that of training, from the order of what was recorded.

A run keeps one list: each retrieval of features overwrites the tags of the one before, whether it
is historical (for training) or online. Feast's `log_model` copies the list of that moment to an
artifact. Two facts tell which retrieval a list is of: Feast adds a point to a metric at each
retrieval, and MLflow copies the points that exist when a model is logged to the LoggedModel.

A list is established if one historical retrieval can have been that of training. Otherwise it is
only possible: nothing may be verified against it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from feature_lineage.models.facts import ModelVersion, TrainingRun
from feature_lineage.models.recorded import (
    ENTITIES_TAG,
    REFS_TAG,
    RETRIEVAL_TAG,
    SERVICE_TAG,
    FeatureRecord,
    artifact_record,
    count_in,
    run_tag_record,
)

__all__ = ["TrainingList", "needs_artifact", "needs_count", "trained_in", "training_list"]


@dataclass(frozen=True, slots=True)
class TrainingList:
    """What the run of a version, or the run in which it is nested, says about its features.

    Attributes:
        run: the run whose records count; None if no run has a record of training.
        nested: whether that is a run around the one that logged the model.
        records: the lists of the retrieval of training, the most trusted one first.
        count: their recorded number of features.
        service: the recorded name of their service.
        possible: lists that may be that of training; only where none is established.
        doubt: why none is established, "" if one is or if there is no record.
        notes: records that are none of training.
    """

    run: TrainingRun | None = None
    nested: bool = False
    records: tuple[FeatureRecord, ...] = ()
    count: int | None = None
    service: str = ""
    possible: tuple[FeatureRecord, ...] = ()
    doubt: str = ""
    notes: tuple[str, ...] = ()


def training_list(version: ModelVersion, run: TrainingRun | None) -> TrainingList:
    """The list of the run, or of the nearest run around it that has a record of training."""
    notes: list[str] = []
    for each, order in _around(version, run):
        found = _of_run(each, order)
        if found.run is not None:
            return found
        notes += found.notes
    return TrainingList(notes=tuple(notes))


def trained_in(version: ModelVersion, run: TrainingRun | None) -> TrainingRun | None:
    """The run whose start is the time of training: the one whose records count, else its own."""
    return training_list(version, run).run or run


def needs_count(version: ModelVersion, run: TrainingRun) -> str:
    """The run, or one around it, whose number of retrievals decides and is not known; else ""."""
    each, order = _deciding(version, run)
    needed = order.total is None and _undecided(each, order) and _has(each)
    return each.run_id if needed else ""


def needs_artifact(version: ModelVersion, run: TrainingRun) -> str:
    """The run, or one around it, whose ``feast_features.json`` is needed; else "".

    The tags prove the list if they are whole and Feast recorded one retrieval in the run, or if
    Feast did not write them. Asked after `needs_count`.
    """
    each, order = _deciding(version, run)
    tag = run_tag_record(each)
    if each.features_artifact is not None or tag is None or _none_of_training(each, order):
        return ""
    more = tag.online or order.later is not False if _undecided(each, order) else not tag.precise
    return each.run_id if more else ""


@dataclass(frozen=True, slots=True)
class _Order:
    """The retrievals of a run, seen from the moment at which the model was logged.

    Attributes:
        before: how many were recorded before; None if unknown.
        later: whether one was recorded after; None if unknown.
        total: how many were recorded; None if unknown.
        nested: whether the model was logged in a run inside of this one.
    """

    before: int | None
    later: bool | None
    total: int | None
    nested: bool = False


def _around(version: ModelVersion, run: TrainingRun | None) -> Iterator[tuple[TrainingRun, _Order]]:
    """The run and those around it, with what was recorded before the model was logged."""
    if run is not None:
        yield run, _own_order(version, run)
    while run is not None and run.parent is not None:
        yield run.parent, _outer_order(run.parent, run.started_at)
        run = run.parent


def _deciding(version: ModelVersion, run: TrainingRun) -> tuple[TrainingRun, _Order]:
    """The nearest run around the model that has a record of training; the outermost if none has."""
    each, order = run, _own_order(version, run)
    for each, order in _around(version, run):
        if _of_run(each, order).run is not None:
            break
    return each, order


def _own_order(version: ModelVersion, run: TrainingRun) -> _Order:
    logged = version.logged
    if logged is None or logged.retrievals is None or logged.run_id != run.run_id:
        return _Order(None, None, run.retrievals)
    later = run.last_retrieval > logged.last_retrieval
    return _Order(logged.retrievals, later, run.retrievals if later else logged.retrievals)


def _outer_order(run: TrainingRun, inner: datetime) -> _Order:
    """What Feast records while a nested run is active, it records there."""
    if run.last_retrieval <= inner.timestamp() * 1000:
        return _Order(run.retrievals, False, run.retrievals, nested=True)
    before = 0 if run.retrievals == 1 else None
    return _Order(before, True, run.retrievals, nested=True)


def _has(run: TrainingRun) -> bool:
    return bool(run.tags.get(REFS_TAG) or run.tags.get(SERVICE_TAG))


def _online(run: TrainingRun) -> bool:
    return run.tags.get(RETRIEVAL_TAG) == "online"


def _undecided(run: TrainingRun, order: _Order) -> bool:
    """Whether more than one retrieval may have been recorded, and one of them is of training."""
    return bool(run.last_retrieval) and order.total != 1 and not _none_of_training(run, order)


def _none_of_training(run: TrainingRun, order: _Order) -> str:
    """Why no retrieval of the run can be that of training; "" if one can."""
    if not _has(run):
        return ""
    if run.last_retrieval and order.before == 0:
        return f"run {run.run_id} retrieved features only after the model was logged"
    historical = run.last_retrieval and order.total != 1 and ENTITIES_TAG in run.tags
    if _online(run) and not historical:
        return f"run {run.run_id} retrieved features online, which is no record of training"
    return ""


def _of_run(run: TrainingRun, order: _Order) -> TrainingList:
    why_not = _none_of_training(run, order)
    tag, count = run_tag_record(run), count_in(run.tags)
    if why_not or not (_has(run) or count is not None):
        return TrainingList(notes=(why_not,) if why_not else ())
    if not _undecided(run, order):
        artifact = artifact_record(run, count)
        records = tuple(record for record in (tag, artifact) if record is not None)
        service = run.tags.get(SERVICE_TAG, "")
        return TrainingList(run, order.nested, records, count, service)
    artifact = artifact_record(run, None)
    if artifact is not None and _is_of_training(artifact, tag, run, order):
        return TrainingList(run, order.nested, (artifact,))
    # If the model was logged after one retrieval and before another, the tag is of the other.
    replaced = order.before == 1 and order.later
    possible = (None if replaced else tag, artifact)
    return TrainingList(
        run,
        order.nested,
        possible=tuple(record for record in possible if record is not None),
        doubt=_doubt(run, order, artifact, tag),
    )


def _is_of_training(
    artifact: FeatureRecord, tag: FeatureRecord | None, run: TrainingRun, order: _Order
) -> bool:
    """Whether the artifact is of the one historical retrieval before the model was logged."""
    same = tag is not None and set(artifact.items) == set(tag.items)
    # With one model in the run, the artifact was written when that model was logged.
    of_first = order.before == 1 and len(run.models) == 1
    one_historical = order.total == 2 and _online(run)
    if one_historical:
        return not same or of_first
    return of_first and same and not _online(run)


def _doubt(
    run: TrainingRun, order: _Order, artifact: FeatureRecord | None, tag: FeatureRecord | None
) -> str:
    number = {None: "an unknown number of", 2: "2"}.get(order.total, "more than 2")
    named = " and ".join(record.named for record in (tag, artifact) if record is not None)
    when = " one of them after the model was logged;" if order.later else ""
    return (
        f"run {run.run_id} recorded {number} retrievals of features,{when} and Feast keeps only "
        f"the last: {named or 'a service name'}; which one trained the model is not recorded"
    )
