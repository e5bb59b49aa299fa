"""Which versions a probe asks for, besides those with an alias."""

from typing import Any

from tests.unit.decide.build import model, version
from tests.unit.reconcile.test_observing import TAGS, ObserverSetup

from feature_lineage.decide.project.probing import questions
from feature_lineage.operations.serving import Question

OF_SERVICE = Question("activity")
OF_LIST = Question("", ("stats:conv_rate",))
PINNED = {"name": "driver_model", "version": "2"}


def scene(*aliases: str, **spec: Any) -> ObserverSetup:
    """Version 2 of the model, with the list of features as its record."""
    made = ObserverSetup(**{"probe": {}, **spec})
    made.fakes.versions["2"] = version("2", *aliases, **TAGS)
    return made


async def asked(setup: ObserverSetup) -> tuple[Question, ...]:
    return questions((await setup.observe()).models)


async def test_a_version_without_an_alias_that_nobody_declares() -> None:
    assert await asked(scene()) == ()


async def test_a_pinned_version_is_asked_for() -> None:
    setup = scene()
    setup.fakes.add(model(model=PINNED))
    assert await asked(setup) == (OF_LIST,)


async def test_a_declared_service_is_asked_for() -> None:
    """The model is judged by what the service answers; the alias alone says only the list."""
    setup = scene("champion")
    assert await asked(setup) == (OF_LIST,)
    setup.fakes.add(model(featureService="activity", onConflict="UseDeclared"))
    assert await asked(setup) == (
        OF_LIST,
        OF_SERVICE,
    )


async def test_a_namespace_that_is_not_permitted_asks_for_nothing() -> None:
    setup = scene()
    foreign = model(model=PINNED, projectRef={"name": "ranking", "namespace": "ml"})
    metadata = foreign.metadata.model_copy(update={"namespace": "other"})
    setup.fakes.add(foreign.model_copy(update={"metadata": metadata}))
    assert await asked(setup) == ()


async def test_a_declaration_that_comes_later_is_seen() -> None:
    """The facts are kept as long as MLflow and the declarations stay the same."""
    setup = scene()
    assert await asked(setup) == ()
    setup.fakes.add(model(model=PINNED))
    assert await asked(setup) == (OF_LIST,)
