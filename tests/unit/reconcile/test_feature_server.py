"""The address of a feature server is checked before a job gets it."""

from tests.unit.decide.build import model
from tests.unit.reconcile.test_observing import ObserverSetup

from feature_lineage.decide.project.probing import probe_request
from feature_lineage.reconcile.observe_model import observe_model
from feature_lineage.reconcile.unchanged import model_inputs

URL = "http://features.ml.svc:6566"


async def test_a_server_that_is_not_allowed_is_not_asked() -> None:
    scene, champion = ObserverSetup(probe={"featureServerUrl": URL}), model()
    scene.version()
    scene.fakes.add(champion)
    inputs = await model_inputs(scene.ports, champion)

    observed = await scene.observe()
    assert observed.server_refused is None
    assert probe_request(observed, None, None).server == URL

    scene.fakes.refused.add(URL)
    observed = await scene.observe()
    seen = await observe_model(scene.ports, scene.cache, champion, inputs)
    assert probe_request(observed, None, None).server == ""
    assert observed.server_refused is not None
    assert observed.server_refused.reason == "HostNotAllowed"
    assert f"{URL} is not among the platform's" in observed.server_refused.message
    assert seen.server_refused == observed.server_refused


async def test_without_an_address_nothing_is_refused() -> None:
    scene = ObserverSetup(probe={})
    scene.fakes.refused.add("")
    assert (await scene.observe()).server_refused is None
