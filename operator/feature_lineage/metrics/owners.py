"""The owners of what a model uses, as labels by which an alert finds its team."""

from collections.abc import Iterable
from typing import Any, Final

from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.metrics.families import label

MAX_OWNERS: Final = 5
"""Of the views of one model; more are not in the label."""


class Owners:
    """The owners in Feast's definitions of one project, each combination computed once."""

    def __init__(self, snapshot: RegistrySnapshot | None) -> None:
        self._snapshot = snapshot
        self._known: dict[tuple[str, tuple[str, ...]], tuple[str, str]] = {}

    def of(self, service: str, views: tuple[str, ...]) -> tuple[str, str]:
        """`owner` of a feature service, and those of views: sorted, with commas between them."""
        key = service, views
        if key not in self._known:
            self._known[key] = self._of(service, views)
        return self._known[key]

    def _of(self, service: str, views: Iterable[str]) -> tuple[str, str]:
        if self._snapshot is None:
            return "", ""
        found = (self._snapshot.view(name) for name in views)
        owners = {_owner(each[1]) for each in found if each is not None} - {""}
        services = self._snapshot.objects.get("feature_service", {})
        return _owner(services.get(service, {})), ",".join(sorted(owners)[:MAX_OWNERS])


def _owner(spec: Any) -> str:
    return label(str(spec.get("owner", "")))
