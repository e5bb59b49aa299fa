"""A probe of 100 models with 100 keys each, against the same retrievals by bare Feast.

Whole processes, as the local host starts them. Both read the same PostgreSQL store. The floor opens
the store, retrieves the features of each service for the same number of keys, and judges nothing.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import yaml
from tests.servers.postgres import Postgres, start_postgres

from benchmarks.champions import service_name, services
from benchmarks.jobs import Cost, Runner, run_process
from benchmarks.measure import Row, Size, in_turn
from benchmarks.repos import END, START, BenchmarkRepo
from feature_lineage.api.enums import ColumnNames, OperationKind
from feature_lineage.operations.probe_request import ProbeRequest
from feature_lineage.operations.protocol import ApplyRequest, MaterializeRequest
from feature_lineage.operations.serving import Question
from feature_lineage.reasons import Reason

VIEWS, MODELS, FEATURES, KEYS = 5, 100, 4, 100
DATABASE = "bench"
_BARE = """
import sys
from feast import FeatureStore
models, keys = map(int, sys.argv[1:])
store = FeatureStore(".")
for number in range(models):
    service = store.get_feature_service(f"served_{number}")
    rows = [{"driver_id": key} for key in range(keys)]
    store.get_online_features(service, rows, full_feature_names=True)
"""


def probe(size: Size) -> Iterator[Row]:
    """Time of both sides, then what each asks of the store."""
    models, keys = (3, 10) if size.quick else (MODELS, KEYS)
    with tempfile.TemporaryDirectory(prefix="bench-probe-") as tmp:
        folder = Path(tmp)
        folder.chmod(0o755)  # the server is another user
        with start_postgres(folder / "postgres") as server:
            repo = BenchmarkRepo(folder / "repo", VIEWS, tuple(services(VIEWS, models, FEATURES)))
            _store_in(server, repo)
            probing = _Probing(Runner(folder / "jobs", repo), repo, models, keys)
            name = f"probe {models} models x {keys} keys"
            against = "Feast's get_online_features"
            floor, ours = in_turn(size, probing.bare, probing.ours)
            yield Row(f"{name}, wall", [c.wall for c in ours], [c.wall for c in floor], against)
            yield Row(f"{name}, cpu", [c.cpu for c in ours], [c.cpu for c in floor], against)
            yield Row(f"{name}, of which probe", [cost.phases["probe"] for cost in ours])
            loads = [_load(server, work) for work in (probing.bare, probing.ours)]
            for number, unit in enumerate(("queries", "rows")):
                theirs, mine = ([float(load[number])] for load in loads)
                yield Row(f"{name}, of the online store", mine, theirs, against, unit)


class _Probing:
    """Both sides, on rows that one materialization wrote."""

    def __init__(self, runner: Runner, repo: BenchmarkRepo, models: int, keys: int) -> None:
        self._runner, self._repo, self._sizes = runner, repo, (models, keys)
        runner.run(OperationKind.APPLY, apply=ApplyRequest())
        start, end = START.to_pydatetime(), END.to_pydatetime()
        window = MaterializeRequest(all_views_start=start, all_views_end=end, sampled_keys=keys)
        _, report = runner.run(OperationKind.MATERIALIZE, materialize=window)
        self._request = ProbeRequest(
            questions=tuple(
                Question(service_name(number), names=ColumnNames.FULL) for number in range(models)
            ),
            keys={view.name: view.keys for view in report.views if view.keys is not None},
            most=keys,
        )

    def bare(self) -> Cost:
        return run_process(_BARE, map(str, self._sizes), self._repo.folder)

    def ours(self) -> Cost:
        cost, report = self._runner.run(OperationKind.PROBE, probe=self._request)
        found = {(each.finding, each.known) for each in report.answers}
        if found != {(Reason.SUCCEEDED, self._sizes[1])}:
            raise RuntimeError(f"the store does not serve what was written: {found}")
        return cost


def _store_in(server: Postgres, repo: BenchmarkRepo) -> None:
    """Put the online store of the repo into a database."""
    server.create_database(DATABASE)
    file = repo.folder / "feature_store.yaml"
    config = yaml.safe_load(file.read_text())
    config["online_store"] = {
        "type": "postgres",
        "host": server.address,
        "port": server.port,
        "database": DATABASE,
        "user": "postgres",
        "password": "none",
        "sslmode": "disable",
    }
    file.write_text(yaml.safe_dump(config))


def _load(server: Postgres, work: object) -> tuple[int, int]:
    """Queries of the online store and the rows that they read, during one call."""
    assert callable(work)
    with psycopg.connect(server.url(DATABASE, "postgresql"), autocommit=True) as psql:
        psql.execute(f"ALTER DATABASE {DATABASE} SET log_statement = 'all'")
        before, began = _rows_read(psql), len(server.log.read_bytes())
        work()
        psql.execute("SELECT pg_stat_force_next_flush()")
        after, said = _rows_read(psql), server.log.read_bytes()[began:]
        psql.execute(f"ALTER DATABASE {DATABASE} RESET log_statement")
    return said.count(b'FROM "bench_view_'), after - before


def _rows_read(psql: "psycopg.Connection[tuple[int]]") -> int:
    found = psql.execute(
        "SELECT sum(coalesce(idx_tup_fetch, 0) + seq_tup_read)::bigint FROM pg_stat_user_tables"
    ).fetchone()
    assert found is not None
    return int(found[0] or 0)
