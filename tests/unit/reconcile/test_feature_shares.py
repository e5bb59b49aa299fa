"""The features of the last answer of the online store are known for metrics."""

from tests.unit.decide.build import NOW
from tests.unit.reconcile.test_reconciler import (
    ReconcilerSetup,
    reconcile_model_of,
    trained,
)

from feature_lineage.api.project_spec import ProbeSpec
from feature_lineage.api.project_status import ProbeStatus
from feature_lineage.decide.facts import Key, key_of
from feature_lineage.features.refs import FeatureRef
from feature_lineage.features.signatures import question_key
from feature_lineage.metrics.metrics_listener import state_of
from feature_lineage.operations.probe_answer import FeatureAnswer, ProbeAnswer
from feature_lineage.operations.probe_record import ProbeRecord

CHAMPION = ("ml", "champion")


def probe(scene: ReconcilerSetup, keys: int = 0, nulls: int = 0) -> None:
    """The last probe of the project has this answer; without one there is no probe."""
    question = question_key("", [FeatureRef("stats", "conv_rate")])
    answer = ProbeAnswer(
        question=question,
        keys=9,
        known=9,
        features=(FeatureAnswer(column="conv_rate", keys=keys, nulls=nulls),),
    )
    record = ProbeRecord().with_answers([answer], NOW, ()) if keys else None
    if record is not None:
        scene.fakes.probes[key_of(scene.project)] = record
    spec = scene.project.spec.model_copy(update={"probe": ProbeSpec() if record else None})
    status = scene.project.status.model_copy(
        update={"probe": ProbeStatus(at=NOW, digest=record.digest) if record else None}
    )
    scene.fakes.add(scene.project.model_copy(update={"spec": spec, "status": status}))


async def shares(scene: ReconcilerSetup) -> list[tuple[str, float | None]]:
    await reconcile_model_of(scene)
    state = state_of(scene.fakes.ports().resources, scene.controller)
    return [(share.column, share.null_ratio) for share in state.shares.get(CHAMPION, ())]


async def test_the_shares_are_those_of_the_last_answer() -> None:
    scene, _ = await trained()
    assert await shares(scene) == []

    probe(scene, keys=9, nulls=3)
    assert await shares(scene) == [("conv_rate", 3 / 9)]
    probe(scene, keys=9, nulls=0)
    assert await shares(scene) == [("conv_rate", 0.0)]
    await scene.restart()
    assert await shares(scene) == [("conv_rate", 0.0)]

    probe(scene)
    assert await shares(scene) == []


async def test_a_deleted_model_has_no_shares() -> None:
    scene, _ = await trained()
    probe(scene, keys=9)
    assert await shares(scene)

    scene.controller.forget(Key("FeatureStoreProject", *CHAMPION))
    assert CHAMPION in scene.controller.shares
    scene.controller.forget(Key("TrainedModel", *CHAMPION))
    assert not scene.controller.shares
