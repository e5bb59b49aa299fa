"""Materializes views one after another; a failure of one does not stop the next.

Feast stops at the first failure and does not report row counts. Each view therefore gets its own
call, and rows are counted when they are written to the online store. No repo code is
imported: the registry holds the definitions. The repo is on the module path, at its end, since
pickled functions may look for their module there.
"""

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any, Final

from feast import FeatureStore
from feast.infra.registry.file import FileRegistryStore

from feature_lineage.features.bounds import check_dependencies
from feature_lineage.operations.job_report import MAX_NUMBERS, JobReport, Outcome, ViewReport
from feature_lineage.operations.protocol import MaterializeRequest, ViewWindow
from feature_lineage.operations.sampled_keys import MAX_SAMPLED
from feature_lineage.reasons import Reason
from feature_lineage.runner.canonical import SECTIONS
from feature_lineage.runner.commit import file_lock, replace_file
from feature_lineage.runner.errors import RegistryUnreadable, error_line
from feature_lineage.runner.job import Job, state_of, view_reports
from feature_lineage.runner.memory import WriteBatches, memory_limit, peak_memory
from feature_lineage.runner.owner import check_owner, owner_of
from feature_lineage.runner.reader import views_of
from feature_lineage.runner.skipped_views import refusing_skips
from feature_lineage.runner.states import telling_lost_states
from feature_lineage.runner.windows import (
    NotMaterializableError,
    Places,
    start_of,
    unknown_view,
    windows_of,
)
from feature_lineage.runner.written_rows import WrittenRows

CHANGED_BY_FEAST: Final = frozenset({"AVAILABLE_ONLINE", "GENERATED"})
"""States that become MATERIALIZING; the first materialization of a view leaves its state."""
_NULL_KEY: Final = re.compile(r"Value type not supported for feast feature store: *\n?")
"""Feast's error for a key without a value; with a value, its type is not supported."""
_IN_PROCESS_ENGINES: Final = frozenset({"local", "python", "feast.infra.compute_engines.local"})


def materialize(job: Job) -> JobReport:
    """Materialize the requested views; the outcome is Partial if only some failed."""
    request = job.request.materialize or MaterializeRequest()
    before = job.read()
    if not before.exists:
        raise RegistryUnreadable("there is no registry yet: apply the repo first")
    recorded = owner_of(before.proto, job.project)
    step, snapshot = "apply first, which needs a permission", job.snapshot(before)
    check_owner(job.request, recorded, snapshot, step)
    check_dependencies(snapshot)
    places = Places(request, snapshot, job.settings.online_store_id)
    sys.path.append(str(job.repo))
    views = {
        message.spec.name: (section, message)
        for section, message in views_of(before.proto, job.project)
    }
    store = job.open_store()
    done: dict[str, ViewReport] = {}
    batches = WriteBatches(store, in_process=_in_process(store), limit=memory_limit())
    with (
        job.progress.phase("materialize"),
        _safe_file_writes(store),
        telling_lost_states(store, lambda name: _announce_again(job, name)),
    ):
        windows = sorted(windows_of(request, views), key=lambda w: w.name in request.last)
        sampled = min(request.sampled_keys, MAX_SAMPLED // max(1, len(windows)))
        for window in windows:
            job.progress.emit("view_planned", view=_planned(window, views))
        for window in windows:
            if window.name in request.skip:
                done[window.name] = _skipped(window, views, request.skip[window.name])
            else:
                _announce(job, store, window, views)
                report = _materialize_view(store, window, views, batches, places, sampled)
                done[window.name] = places.noted(report)
            job.progress.emit("view_ended", view=done[window.name].model_dump(mode="json"))
            _emit_view(job, done[window.name])
        job.progress.emit_and_wait("view_running", name="")
    after = job.read()
    failed = [report.name for report in done.values() if report.result != "Succeeded"]
    outcome = Outcome.SUCCEEDED
    if failed:
        outcome = Outcome.FAILED if len(failed) == len(done) else Outcome.PARTIAL
    first = f"; {failed[0]}: {done[failed[0]].error}" if failed else ""
    current = job.snapshot(after)
    return job.report(
        outcome,
        reason=Reason.VIEWS_FAILING if failed else "",
        message=f"{len(failed)} of {len(done)} views failed{first}" if failed else "",
        write_batches=batches.why,
        peak_memory_bytes=peak_memory(),
        previous=snapshot.objects_digest,
        snapshot=current,
        views=view_reports(after.proto, job.project, done),
    )


def _report(window: ViewWindow, views: dict[str, Any], **fields: Any) -> ViewReport:
    section = views[window.name][0] if window.name in views else "feature_views"
    return ViewReport(name=window.name, kind=SECTIONS[section], end=window.end, **fields)


def _planned(window: ViewWindow, views: dict[str, Any]) -> dict[str, Any]:
    return _report(window, views, start=window.start).model_dump(mode="json")


def _skipped(window: ViewWindow, views: dict[str, Any], why: str) -> ViewReport:
    return _report(window, views, start=window.start, result="Skipped", error=why)


def _announce(job: Job, store: FeatureStore, window: ViewWindow, views: dict[str, Any]) -> None:
    """Have the supervisor keep that this view comes now, with the state that Feast will change."""
    known = views.get(window.name)
    state = state_of(known[1]) if known is not None else ""
    state = state if state in CHANGED_BY_FEAST else ""
    served = bool(store.config.registry.serve_features_while_materializing)
    running = _report(window, views, start=window.start, state=state, served=served)
    job.progress.emit("view_planned", view=running.model_dump(mode="json"))
    job.progress.emit_and_wait("view_running", name=window.name)


def _announce_again(job: Job, name: str) -> None:
    """Have the supervisor keep that Feast did not change the state of the view that comes now."""
    job.progress.emit("view_keeps_state", name=name)
    job.progress.emit_and_wait("view_running", name=name)


def _materialize_view(
    store: FeatureStore,
    window: ViewWindow,
    views: dict[str, Any],
    batches: WriteBatches,
    places: Places,
    sampled: int,
) -> ViewReport:
    report: dict[str, Any] = {}
    started = time.monotonic()
    counter = WrittenRows(sampled)
    try:
        start = start_of(window, views, places)
        report["start"] = min(start, window.end)
        if start < window.end:
            report["batch_rows"] = batches.choose(views[window.name][1])
            with counter.counting(store), refusing_skips():
                store.materialize(start, window.end, feature_views=[window.name])
        rows = counter.rows if counter.used or _in_process(store) else None
        report |= {"result": "Succeeded", "rows": rows}
    except Exception as error:  # noqa: BLE001  any engine and any store may raise anything here
        report |= {
            "result": "Failed",
            "rows": counter.rows,
            "error": _view_error(error, window, views),
        }
    report |= {
        "seconds": round(time.monotonic() - started, 3),
        "newest_event_time": counter.newest,
        "nulls": dict(counter.nulls.most_common(MAX_NUMBERS)) if counter.used else None,
        "keys": counter.keys,
    }
    return _report(window, views, **report)


def _in_process(store: FeatureStore) -> bool:
    engine = store.config.batch_engine_config
    kind = engine.get("type") if isinstance(engine, dict) else engine
    return str(kind) in _IN_PROCESS_ENGINES


def _view_error(error: Exception, window: ViewWindow, views: dict[str, Any]) -> str:
    """One line that names the view's problem."""
    if window.name not in views:
        return unknown_view(window.name, views)
    message = views[window.name][1]
    source = getattr(message.spec, "batch_source", None)
    where = source.file_options.uri if source is not None else ""
    of_source = f" of source {where or source.name!r}" if source is not None else ""
    match error:
        case NotMaterializableError():
            return str(error)
        case FileNotFoundError():
            return f"the source file {error.filename or where or error} does not exist"
        case AttributeError() if type(error.obj) is date:
            column = source.timestamp_field if source is not None else ""
            return (
                f"timestamp column {column!r}{of_source} has dates without a time; "
                "store it as timestamps"
            )
        case ValueError() if _NULL_KEY.fullmatch(str(error)) and of_source == "":
            return (
                "Feast has no key for a row of this on-demand view, or a key without a value; "
                "write entities=[…] in the view, with the entities of its sources"
            )
        case ValueError() if _NULL_KEY.fullmatch(str(error)):
            keys = ", ".join(repr(column.name) for column in message.spec.entity_columns)
            return (
                f"a join key ({keys}){of_source} is null in some row, which Feast cannot store; "
                "remove these rows from the source"
            )
        case KeyError():
            return (
                f"a column is missing in the data{of_source}: {error.args[0] if error.args else ''}"
            )
        case _:
            return error_line(error)


def _emit_view(job: Job, report: ViewReport) -> None:
    job.progress.emit(
        "view",
        name=report.name,
        result=report.result,
        rows=report.rows,
        seconds=report.seconds,
        error=report.error,
    )


@contextmanager
def _safe_file_writes(store: FeatureStore) -> Iterator[None]:
    """Protect a file registry against partial files and lost updates.

    Feast truncates the file and writes its cached copy, which may be outdated. Each
    write here takes the lock, rereads the file, and renames the result into place.
    """
    registry = store.registry
    target = getattr(registry, "_registry_store", None)
    if not isinstance(target, FileRegistryStore):
        yield
        return
    target._write_registry = lambda proto: replace_file(target, proto)
    for name in ("apply_materialization", "apply_feature_view"):
        setattr(registry, name, _after_refresh(getattr(registry, name), registry, target))
    yield


def _after_refresh(write: Callable[..., Any], registry: Any, target: Any) -> Callable[..., Any]:
    def locked(*args: Any, **kwargs: Any) -> Any:
        with file_lock(target._filepath):
            registry.refresh()
            return write(*args, **kwargs)

    return locked
