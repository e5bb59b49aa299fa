"""The content of a guard for the promoted versions."""

from dataclasses import replace

import pytest
from tests.unit.decide.build import NOW, REFS, STATS, linked, version
from tests.unit.operations.build import registry, view

from feature_lineage.api.project_spec import NameFilter, Protection
from feature_lineage.decide.model.link import guarded_model
from feature_lineage.decide.observed import LinkedVersion
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.operations.protection import Guard, build_guard
from feature_lineage.reasons import Reason

BASELINE = "2" * 64  # as `linked` names it
OLDER = registry({"stats": view({"conv_rate": "FLOAT"})})


def guard(
    item: LinkedVersion,
    baseline: RegistrySnapshot | None = None,
    snapshot: RegistrySnapshot | None = None,
) -> Guard:
    baselines = {BASELINE: baseline} if baseline else {}
    model = guarded_model(item, baselines, snapshot, Protection())
    return build_guard(NOW, [model] if model else [])


@pytest.mark.parametrize(
    ("baseline", "snapshot", "defined"),
    [
        pytest.param(STATS, None, ["stats:conv_rate", "stats:trips"], id="trained on it"),
        pytest.param(OLDER, STATS, ["stats:conv_rate"], id="a baseline that lacks a feature"),
        pytest.param(None, STATS, ["stats:conv_rate", "stats:trips"], id="seen since"),
        pytest.param(None, None, [], id="a registry in use that was never read"),
    ],
)
def test_all_features_of_a_champion_are_guarded(
    baseline: RegistrySnapshot | None, snapshot: RegistrySnapshot | None, defined: list[str]
) -> None:
    found = guard(linked(version("1", "champion")), baseline, snapshot)

    (champion,) = found.models
    assert champion.refs == REFS
    assert [str(item.ref) for item in champion.features] == defined
    assert found.unknown == ()


def test_a_champion_without_a_whole_list_is_unknown() -> None:
    item = linked(version("1", "champion"))
    ambiguous = replace(item, link=replace(item.link, reason=Reason.AMBIGUOUS))

    found = guard(ambiguous, STATS, STATS)

    assert (found.models, found.unknown) == ((), ("driver_model/1",))


@pytest.mark.parametrize(
    ("aliases", "guarded"),
    [
        pytest.param(("champion", "archived"), ("champion",), id="only what protects"),
        pytest.param(("archived",), None, id="an alias that does not protect"),
        pytest.param((), None, id="no alias"),
    ],
)
def test_the_policy_says_which_aliases_protect(
    aliases: tuple[str, ...], guarded: tuple[str, ...] | None
) -> None:
    policy = Protection(aliases=NameFilter(exclude=("archived",)))

    found = guarded_model(linked(version("3", *aliases)), {BASELINE: STATS}, STATS, policy)

    assert (found.aliases if found else None) == guarded
