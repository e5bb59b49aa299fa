"""Puts back the state of views that a job of this product left when it died.

While Feast materializes a view, its state is MATERIALIZING, and Feast does not serve it. A job that
dies leaves it so; a further attempt that fails leaves GENERATED, which is not served either. Only
what our own job set is put back, and only while it is still there.

A SQL registry keeps MATERIALIZING of some views only: Feast skips the write of a view that equals
the stored one, and compares views without their state. So what was stored is read again.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from feast import FeatureStore
from feast.feature_view import FeatureViewState
from feast.infra.registry.file import FileRegistryStore
from feast.infra.registry.registry import Registry
from feast.protos.feast.core.Registry_pb2 import Registry as RegistryMessage
from sqlalchemy import create_engine, select, update

from feature_lineage.runner.commit import file_lock, lock_tables, replace_file
from feature_lineage.runner.errors import error_line
from feature_lineage.runner.job import Job
from feature_lineage.runner.owner import is_owned_by_other, owner_of
from feature_lineage.runner.reader import TABLES, read_file, registry_store, views_of

LEFT: Final = frozenset(
    {FeatureViewState.MATERIALIZING.to_proto(), FeatureViewState.GENERATED.to_proto()}
)


@contextmanager
def telling_lost_states(store: FeatureStore, tell: Callable[[str], None]) -> Iterator[None]:
    """Call `tell` with the name of each view of which Feast's MATERIALIZING was not stored."""
    registry = store.registry
    if isinstance(registry, Registry):  # a file or an object store keeps every state
        yield
        return
    write = registry.apply_feature_view

    def checked(view: Any, project: str, *args: Any, **kwargs: Any) -> None:
        write(view, project, *args, **kwargs)
        if view.state is FeatureViewState.MATERIALIZING:
            stored: Any = registry.get_any_feature_view(view.name, project)
            if stored.state is not FeatureViewState.MATERIALIZING:
                tell(view.name)

    registry.apply_feature_view = checked
    try:
        yield
    finally:
        del registry.apply_feature_view


def put_back(job: Job) -> tuple[str, ...]:
    """Put back the states that the request names; returns a warning if that fails.

    A registry that another resource owns is left as it is: the operation says so.
    """
    wanted = {
        name: FeatureViewState[state].to_proto()
        for name, state in job.request.put_back.items()
        if state in FeatureViewState.__members__
    }
    if not wanted:
        return ()
    try:
        reading = job.reader.read()
        recorded = owner_of(reading.proto, job.project)
        if not is_owned_by_other(job.request, recorded, job.snapshot(reading)):
            _put_back(job, wanted)
    except Exception as error:  # noqa: BLE001  any registry may raise anything; the job goes on
        names = ", ".join(sorted(wanted))
        why = f"the state could not be put back: {error_line(error)}"
        return (f"Feast does not serve {names} until they are materialized, because {why}",)
    return ()


def _put_back(job: Job, wanted: dict[str, int]) -> None:
    settings = job.settings
    if settings.registry_type != "file" and settings.config.registry.registry_store_type is None:
        put = _put_back_in_sql if settings.registry_type == "sql" else _put_back_by_feast
        put(job, wanted)
        return
    target = registry_store(settings.config, job.repo)
    if not isinstance(target, FileRegistryStore):
        proto = target.get_registry_proto()
        if _change(proto, job.project, wanted):
            target.update_registry_proto(proto)
        return
    with file_lock(target._filepath):
        proto = read_file(target._filepath).proto
        if _change(proto, job.project, wanted):
            replace_file(target, proto)


def _put_back_in_sql(job: Job, wanted: dict[str, int]) -> None:
    settings = job.settings.config.registry
    engine = create_engine(settings.path, **settings.sqlalchemy_config_kwargs)
    try:
        with engine.connect() as connection, connection.begin():
            lock_tables(connection)
            for section in ("feature_views", "stream_feature_views"):
                table, column = TABLES[section]
                of_ours = table.c.project_id == job.project, table.c.feature_view_name.in_(wanted)
                for (data,) in connection.execute(select(table.c[column]).where(*of_ours)).all():
                    message = getattr(RegistryMessage(), section).add()
                    message.ParseFromString(data)
                    if _change_view(message, wanted):
                        this = of_ours[0], table.c.feature_view_name == message.spec.name
                        changed = {column: message.SerializeToString()}
                        connection.execute(update(table).where(*this).values(changed))
    finally:
        engine.dispose()


def _put_back_by_feast(job: Job, wanted: dict[str, int]) -> None:
    """The same for a registry that only Feast can write; the comparison and the write are two."""
    registry = job.open_store().registry
    for name, state in wanted.items():
        view: Any = registry.get_any_feature_view(name, job.project)
        if view.state.to_proto() in LEFT - {state}:
            view.state = FeatureViewState.from_proto(state)
            registry.apply_feature_view(view, job.project)


def _change(proto: Any, project: str, wanted: dict[str, int]) -> bool:
    """Change the states that our job left in a registry; returns whether there were any."""
    return sum(_change_view(message, wanted) for _, message in views_of(proto, project)) > 0


def _change_view(message: Any, wanted: dict[str, int]) -> bool:
    state = wanted.get(message.spec.name)
    if state is None or message.meta.state not in LEFT - {state}:
        return False
    message.meta.state = state
    return True
