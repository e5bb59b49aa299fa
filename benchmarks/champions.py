"""Guards for the jobs: champions on a snapshot of the repo, each with a question of its own."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import combinations, groupby, islice

from feature_lineage.features.definitions import define_all
from feature_lineage.features.refs import FeatureRef
from feature_lineage.features.signatures import signature_of
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.operations.protection import Guard, GuardedModel

ALWAYS = ("f0", "f1")
"""Features that both versions of every view have."""


def lists(views: int, count: int, size: int) -> Iterator[tuple[FeatureRef, ...]]:
    """Distinct lists of `size` features that no version of the repo changes."""
    refs = [FeatureRef(f"view_{n}", feature) for n in range(views) for feature in ALWAYS]
    return islice(combinations(refs, size), count)


def service_name(number: int) -> str:
    return f"served_{number}"


def services(views: int, count: int, size: int) -> Iterator[str]:
    """One line of Python per list, which defines its feature service."""
    for number, refs in enumerate(lists(views, count, size)):
        by_view = groupby(refs, key=lambda ref: ref.view)
        wanted = ", ".join(
            f"{view}[{[ref.feature for ref in of_view]}]" for view, of_view in by_view
        )
        name = service_name(number)
        yield f'{name} = FeatureService(name="{name}", features=[{wanted}])'


def served_by_services(snapshot: RegistrySnapshot, views: int, count: int, size: int) -> Guard:
    """Champions that are served through the services of the repo."""
    return _guard(
        _champion(snapshot, number, service_name(number), refs)
        for number, refs in enumerate(lists(views, count, size))
    )


def served_by_lists(snapshot: RegistrySnapshot, views: int, count: int, size: int) -> Guard:
    """Champions without a service: each asks for its own list of features."""
    return _guard(
        _champion(snapshot, number, "", refs)
        for number, refs in enumerate(lists(views, count, size))
    )


def _guard(champions: Iterator[GuardedModel]) -> Guard:
    return Guard(datetime.now(UTC), tuple(champions))


def _champion(
    snapshot: RegistrySnapshot, number: int, service: str, refs: tuple[FeatureRef, ...]
) -> GuardedModel:
    features = define_all(snapshot, refs, service)
    signature = signature_of(snapshot, service, refs)
    if len(features) != len(refs) or signature is None:
        raise RuntimeError(f"the snapshot lacks features of champion {number}: {refs}")
    model = f"model_{number}"
    return GuardedModel(model, "1", ("champion",), service, features, refs, signature)
