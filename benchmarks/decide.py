"""A reconcile of a project with 500 views and 2,000 linked model versions.

* decide: the pure function, compared with writing its status as JSON once, which is the minimum for
  a controller that patches in every reconcile;
* a reconcile without changes (observe, decide, compare, no write), compared with the same reconcile
  with an empty cache, which links and judges every version again;
* the reconcile after MLflow changed, compared with linking the versions in one plain loop.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from benchmarks.environment import InMemoryPorts
from benchmarks.measure import Row, Size, timed_in_turn
from benchmarks.project_fixture import NOW, PROJECT, SyntheticProject
from feature_lineage.api import FeatureStoreProject
from feature_lineage.decide.project.decide import decide as decide_project
from feature_lineage.models.links import resolve_link
from feature_lineage.reconcile.cache import ReconcileCache
from feature_lineage.reconcile.observe_project import observe_project
from feature_lineage.reconcile.reconciler import Reconciler

PASSES_UNTIL_QUIET = 20


def decide(size: Size) -> Iterator[Row]:
    """`decide`, a reconcile without changes, and a reconcile with new facts."""
    synthetic = SyntheticProject(20, 40, 5) if size.quick else SyntheticProject(500, 2_000)
    name = f"project of {synthetic.views} views, {synthetic.versions:,} linked versions"
    environment = InMemoryPorts(_project(), synthetic.snapshot(), synthetic.view())
    with asyncio.Runner() as runner:
        # Not Runner.run: its signal handler prints the task with its whole result.
        run = runner.get_loop().run_until_complete
        controller = Reconciler(environment.ports)
        run(reconcile_until_quiet(controller, environment))
        if (counts := environment.project_.status.counts) is None or not counts.linked_models:
            raise RuntimeError("nothing was linked: this house is empty")

        memory = ReconcileCache()
        observed = run(observe_project(environment.ports, memory, environment.project_))
        status = decide_project(observed).status
        repeat = 1 if size.quick else 5
        floor, ours = timed_in_turn(
            size,
            lambda: status.model_dump_json(by_alias=True, exclude_none=True),
            lambda: decide_project(observed),
            repeat,
        )
        yield Row(f"{name}, decide", ours, floor, "its status as JSON, once")

        def quiet(of: Reconciler) -> None:
            saved = environment.saved
            done = run(of.reconcile_project(environment.project_))
            if done.wrote or done.requeue or environment.saved != saved:
                raise RuntimeError("the pass was not quiet")

        quiet(controller)
        floor, ours = timed_in_turn(
            size, lambda: quiet(Reconciler(environment.ports)), lambda: quiet(controller)
        )
        yield Row(f"{name}, quiet pass", ours, floor, "the pass, nothing remembered", goal=1.0)

        def news() -> None:
            # Read again with the same content: a comparison by identity finds a change.
            environment.registry_view = replace(environment.registry_view)
            quiet(controller)

        floor, ours = timed_in_turn(size, lambda: _link_all(environment), news)
        yield Row(f"{name}, pass after MLflow changed", ours, floor, "linking them in a loop")


async def reconcile_until_quiet(controller: Reconciler, environment: InMemoryPorts) -> None:
    """Reconcile the project until nothing is left to do."""
    for _ in range(PASSES_UNTIL_QUIET):
        done = await controller.reconcile_project(environment.project_)
        if not done.requeue and not done.wrote:
            return
        environment.time += timedelta(seconds=1)
    raise RuntimeError("the project does not come to rest")


def _link_all(environment: InMemoryPorts) -> None:
    view, snapshot = environment.registry_view, environment.registry_snapshot
    for versions in view.versions.values():
        for version in versions.values():
            resolve_link(version, view.run_of(version), snapshot)


def _project() -> FeatureStoreProject:
    return FeatureStoreProject.model_validate(
        {
            "metadata": {
                "name": "ranking",
                "namespace": "ml",
                "uid": "u-1",
                "generation": 1,
                "creationTimestamp": f"{NOW:%Y-%m-%dT%H:%M:%SZ}",
            },
            "spec": {
                "project": PROJECT,
                "source": {"git": {"url": "https://git.example/r.git", "ref": {"branch": "main"}}},
                "freshness": {"maxAge": "1d"},
                "mlflow": {"trackingUri": "http://mlflow:5000"},
            },
        }
    )
