"""What is read about a training run: nothing more than what decides, and each part once."""

from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from tests.unit.tracking.fake import Clock, FakeClient

from feature_lineage.api.enums import LineageOrigin as Origin
from feature_lineage.errors import AccessRefused, FeatureLineageError, NotFound, ServerUnavailable
from feature_lineage.models.facts import LoggedModel
from feature_lineage.models.links import Link, resolve_link
from feature_lineage.reasons import Reason
from feature_lineage.tracking.logged_models import signature_inputs
from feature_lineage.tracking.registry_cache import RegistryCache

NOW = timedelta(0)
FIRST = ["models", "versions", "experiments", "runs"]
MODEL = "m-" + "a" * 32


def tags(refs: str, kind: str = "historical", *, trained: bool = True) -> dict[str, str]:
    found = {
        "feast.retrieval_type": kind,
        "feast.feature_refs": refs,
        "feast.feature_count": str(refs.count(",") + 1),
    }
    return found | ({"feast.entity_df_type": "dataframe"} if trained else {})


class Scene:
    """One version of one model, and its run."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.client: Any = FakeClient(self.clock)
        self.client.add("m", "1", 1, run_id="run1", source=f"models:/{MODEL}")
        self.client.run_status["run1"] = "FINISHED"
        self.cache = RegistryCache(self.client, now=self.clock)

    def run(self, run_id: str, run_tags: dict[str, str], *points: int) -> None:
        self.client.run_status[run_id] = "FINISHED"
        self.client.run_tags[run_id] = run_tags
        self.client.run_metrics[run_id] = list(points)

    def model(self, points: int, last: int = 0, run_id: str = "run1") -> None:
        self.client.run_models[run_id] = [(MODEL, 0)]
        self.client.logged[MODEL] = LoggedModel(run_id, points, last)

    async def link(self) -> Link:
        view = await self.cache.view(max_age=NOW, full=True)
        version = view.versions["m"]["1"]
        return resolve_link(version, view.run_of(version), None, project="p")

    async def asked(self) -> list[str]:
        """The calls of a first full reading, and that a second one repeats none of them."""
        await self.link()
        calls = list(self.client.calls)
        self.clock.advance(minutes=1)
        self.client.calls.clear()
        await self.link()
        assert self.client.calls == ["models", "versions"]
        return calls


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_tags_that_feast_did_not_write_need_nothing_more(scene: Scene) -> None:
    scene.run("run1", tags("v:a"))
    scene.client.run_models["run1"] = [(MODEL, 0)]

    assert await scene.asked() == FIRST


async def test_one_retrieval_needs_the_logged_models_in_bulk(scene: Scene) -> None:
    scene.run("run1", tags("v:a"), 10)
    scene.model(1, 10)

    assert await scene.asked() == [*FIRST, "logged models"]
    assert (await scene.link()).origin is Origin.RUN_TAG


async def test_an_online_retrieval_after_the_model_needs_two_more(scene: Scene) -> None:
    scene.run("run1", tags("v:b", "online"), 10, 20)
    scene.model(1, 10)
    scene.client.artifacts["run1"] = b'["v:a"]'

    assert await scene.asked() == [*FIRST, "logged models", "count run1", "artifact run1"]
    found = await scene.link()
    assert ([str(ref) for ref in found.refs], found.origin) == (["v:a"], Origin.ARTIFACT)


async def test_two_versions_of_one_run_ask_once(scene: Scene) -> None:
    scene.run("run1", tags("v:b", "online"), 10, 20)
    scene.model(1, 10)
    scene.client.artifacts["run1"] = b'["v:a"]'
    scene.client.add("copy", "1", 1, run_id="run1", source="models:/m/1")

    assert await scene.asked() == [*FIRST, "logged models", "count run1", "artifact run1"]
    view = scene.cache.last
    assert view is not None
    copy = view.versions["copy"]["1"]
    assert copy.logged == view.versions["m"]["1"].logged
    assert resolve_link(copy, view.run_of(copy), None).origin is Origin.ARTIFACT


async def test_a_signature_is_read_where_lists_are_in_doubt(scene: Scene) -> None:
    scene.run("run1", tags("v:b"), 10, 20)
    scene.model(2, 20)
    scene.client.model_files[MODEL] = b'signature:\n  inputs: \'[{"name": "v__b"}]\'\n'

    assert await scene.asked() == [*FIRST, "logged models", f"signature {MODEL}"]
    assert (await scene.link()).reason is None


async def test_a_parent_is_read_where_the_run_has_no_record(scene: Scene) -> None:
    scene.run("run1", {"mlflow.parentRunId": "outer"})
    scene.run("outer", tags("v:a"), 10)

    assert await scene.asked() == [*FIRST, "runs", "count outer"]
    assert (await scene.link()).origin is Origin.PARENT_RUN


async def test_a_parent_is_not_read_where_the_run_has_a_record(scene: Scene) -> None:
    scene.run("run1", tags("v:a") | {"mlflow.parentRunId": "outer"}, 10)
    scene.model(1, 10)

    assert await scene.asked() == [*FIRST, "logged models"]


@pytest.mark.parametrize("parent", ["run1", "outer", "gone", "a b'", ""])
async def test_a_chain_of_parents_ends(scene: Scene, parent: str) -> None:
    """Whoever may write tags may name any run as the parent."""
    scene.run("run1", {"mlflow.parentRunId": "outer"})
    scene.run("outer", {"mlflow.parentRunId": parent})

    assert (await scene.link()).reason is Reason.NO_FEAST_LINEAGE


async def test_a_long_chain_of_parents_is_cut(scene: Scene) -> None:
    for number in range(1, 50):
        scene.run(f"run{number}", {"mlflow.parentRunId": f"run{number + 1}"})

    assert (await scene.link()).reason is Reason.NO_FEAST_LINEAGE
    assert scene.client.calls.count("runs") < 10


async def test_the_run_of_the_logged_model_counts(scene: Scene) -> None:
    scene.run("run1", tags("v:b"), 10)
    scene.client.run_models["run1"] = [("m-other", 0)]
    scene.run("other", tags("v:a"), 5)
    scene.model(1, 5, run_id="other")

    found = await scene.link()

    assert ([str(ref) for ref in found.refs], found.origin) == (["v:a"], Origin.RUN_TAG)


@pytest.mark.parametrize("error", [NotFound("no such API"), AccessRefused("no")])
async def test_without_logged_models_the_number_decides(
    scene: Scene, error: FeatureLineageError
) -> None:
    scene.client.logged = error
    scene.run("run1", tags("v:a"), 10)

    assert (await scene.link()).origin is Origin.RUN_TAG
    scene.run("run1", tags("v:a"), 10, 20)
    scene.cache = RegistryCache(scene.client, now=scene.clock)
    assert (await scene.link()).reason in (Reason.AMBIGUOUS, Reason.REGISTRY_UNSEEN)


async def test_a_model_of_another_step_has_no_order(scene: Scene) -> None:
    """MLflow copies only the points of that step, and Feast's have step 0."""
    scene.run("run1", tags("v:a"), 10)
    scene.model(0)
    scene.client.run_models["run1"] = [(MODEL, 7)]

    assert (await scene.link()).origin is Origin.RUN_TAG


SIGNED = """\
run_id: r
signature:
  inputs: '[{"type": "double", "name": "it''s", "required": true}, {"type": "double",
    "name": "b", "required": true}]'
  outputs: '[]'
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(SIGNED, ("it's", "b"), id="as MLflow writes it"),
        pytest.param("signature: null\n", None, id="no signature"),
        pytest.param('signature:\n  inputs: \'[{"type": "tensor"}]\'\n', None, id="tensors"),
        pytest.param("signature:\n  inputs: '{}'\n", None, id="no list"),
        pytest.param("signature:\n  inputs: '[\n", None, id="no end"),
        pytest.param("signature:\n  inputs: '" + "[" * 90_000 + "'\n", None, id="nested"),
        pytest.param("a: &a [x]\nb: [*a, *a]\n" * 1000, None, id="references"),
        pytest.param("signature:\n  inputs: '" + "''" * 100_000, None, id="quotes"),
        pytest.param("\x00\ufffd", None, id="binary"),
    ],
)
def test_names_of_a_signature(text: str, expected: tuple[str, ...] | None) -> None:
    assert signature_inputs(text.encode()) == expected


async def test_a_signature_is_read_once_an_alias_points_to_the_version(scene: Scene) -> None:
    scene.run("run1", tags("v:a"), 10)
    scene.model(1, 10)
    scene.client.model_files[MODEL] = b'signature:\n  inputs: \'[{"name": "v__a"}]\'\n'
    assert await scene.asked() == [*FIRST, "logged models"]

    scene.client.models["m"]["champion"] = "1"
    scene.clock.advance(minutes=1)
    scene.client.calls.clear()
    assert await scene.asked() == ["models", "versions", f"signature {MODEL}"]
    view = scene.cache.last
    assert view is not None
    logged = view.versions["m"]["1"].logged
    assert logged is not None
    assert logged.inputs == ("v__a",)


@pytest.mark.parametrize("error", [AccessRefused("no"), ServerUnavailable("no answer")])
async def test_a_signature_that_could_not_be_read_is_read_later(
    scene: Scene, error: FeatureLineageError
) -> None:
    scene.run("run1", tags("v:a"), 10)
    scene.model(1, 10)
    scene.client.models["m"]["champion"] = "1"
    scene.client.model_files[MODEL] = error
    with suppress(ServerUnavailable):
        await scene.link()

    scene.client.model_files[MODEL] = b'signature:\n  inputs: \'[{"name": "v__a"}]\'\n'
    scene.clock.advance(minutes=5)
    scene.client.calls.clear()
    assert f"signature {MODEL}" in await scene.asked()
