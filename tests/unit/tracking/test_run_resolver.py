"""From the source of a version to the run that created it."""

import asyncio
from datetime import UTC, datetime
from unittest.mock import AsyncMock, MagicMock

import pytest

from feature_lineage.models.facts import ModelVersion
from feature_lineage.tracking import run_resolver
from feature_lineage.tracking.client import MLflowClient
from feature_lineage.tracking.paging import RegistryListing
from feature_lineage.tracking.parsing import RegisteredModel, logged_model_of
from feature_lineage.tracking.run_resolver import RunResolver, origin, run_id_in

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def reading(
    *versions: tuple[str, str, str, str], aliases: dict[str, dict[str, str]] | None = None
) -> RegistryListing:
    """Versions as (name, version, run id, source)."""
    found: dict[str, dict[str, ModelVersion]] = {}
    for name, number, run_id, source in versions:
        version = ModelVersion(name, number, NOW, source, run_id, logged_model_of(source))
        found.setdefault(name, {})[number] = version
    models = {n: RegisteredModel(n, 0, (aliases or {}).get(n, {}), True) for n in found}
    return RegistryListing(NOW, models, found, 0)


@pytest.mark.parametrize(
    ("source", "run_id"),
    [
        ("runs:/0a1b/model", "0a1b"),
        ("runs:/0a1b", "0a1b"),
        ("runs:/", ""),
        ("runs:/a'b OR 1=1/model", ""),
        ("0a1b", ""),
        ("s3://bucket/0a1b", ""),
        ("models:/m/1", ""),
    ],
)
def test_a_source_that_names_a_run(source: str, run_id: str) -> None:
    assert run_id_in(source) == run_id


@pytest.mark.parametrize(
    "source",
    ["models:/trained/1", "models:/trained@champion", "models:/tr%61ined/1", "models:/copied/1"],
)
def test_copies_lead_to_the_version_that_names_a_run(source: str) -> None:
    registry = reading(
        ("trained", "1", "run", "s3://x"),
        ("copied", "1", "", "models:/trained/1"),
        ("mine", "7", "", source),
        aliases={"trained": {"champion": "1"}},
    )

    assert origin(registry.versions["mine"]["7"], registry) == registry.versions["trained"]["1"]


def test_a_copy_of_a_logged_model_ends_there() -> None:
    registry = reading(("a", "1", "", "models:/m-1"), ("b", "1", "", "models:/a/1"))

    assert origin(registry.versions["b"]["1"], registry) == registry.versions["a"]["1"]


def test_cyclic_and_broken_chains_have_no_run() -> None:
    registry = reading(
        ("a", "1", "", "models:/b/1"),
        ("b", "1", "", "models:/a/1"),
        ("self", "1", "", "models:/self/1"),
        ("gone", "1", "", "models:/nowhere/9"),
        ("alias", "1", "", "models:/a@none"),
        ("bucket", "1", "", "s3://bucket/path"),
        ("empty", "1", "", ""),
    )

    ends = [origin(named["1"], registry) for named in registry.versions.values()]
    assert ends == [None] * 7


@pytest.mark.parametrize("last", ["s3://bucket", "models:/m-1", "runs:/0a1b/model", "models:/m/99"])
def test_each_copy_of_a_long_chain_is_followed_once(
    monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    """With no end, a LoggedModel, a run, and a cycle at its end."""
    chain = [("m", str(number), "", f"models:/m/{number - 1}") for number in range(1, 100)]
    registry = reading(("m", "0", "", last), *chain)
    followed: list[str] = []
    follow = run_resolver._copied_from

    def counted(source: str, registry: RegistryListing) -> ModelVersion | None:
        followed.append(source)
        return follow(source, registry)

    monkeypatch.setattr(run_resolver, "_copied_from", counted)
    client = MagicMock(MLflowClient)
    client.logged_model_run = AsyncMock(return_value="0a1b")
    versions = asyncio.run(RunResolver(client).with_runs(registry, full=False))

    run_id = "0a1b" if last in ("models:/m-1", "runs:/0a1b/model") else ""
    model_id = "m-1" if last == "models:/m-1" else ""
    assert {(v.run_id, v.model_id) for v in versions} == {(run_id, model_id)}
    assert len(followed) <= 2 * len(versions)
