"""A lineage from plain values: the registry of a real repo, and versions with their features."""

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from tests import strategies as some
from tests.strategies import EPOCH
from tests.unit.decide.build import ProjectScenario

from feature_lineage.decide.observed import LinkedVersion
from feature_lineage.features.refs import FeatureRef
from feature_lineage.features.services import service_refs
from feature_lineage.features.snapshot import RegistrySnapshot
from feature_lineage.lineage.answers import AsOf
from feature_lineage.lineage.graph import LineageGraph
from feature_lineage.lineage.project_lineage import ProjectLineage
from feature_lineage.models.facts import ModelVersion
from feature_lineage.models.index import build
from feature_lineage.models.links import Link

REAL = some.real_snapshot()
DAY = timedelta(days=1)
CONV = "driver_hourly_stats:conv_rate"


def version(
    name: str, number: str, *refs: str, service: str = "", days: int = 0, **more: Any
) -> LinkedVersion:
    """A version that was registered so many days after `EPOCH`."""
    facts = ModelVersion(name, number, EPOCH + days * DAY, **more)
    link = Link(refs=tuple(map(FeatureRef.parse, refs)), service=service)
    return LinkedVersion(facts, link, None, None)


def lineage(
    *items: LinkedVersion, snapshot: RegistrySnapshot | None = REAL, **spec: Any
) -> ProjectLineage:
    """The lineage of these versions, 100 days after `EPOCH`."""
    index = build((item.version, item.link) for item in items)
    return ProjectLineage(
        project=ProjectScenario(**spec).project,
        snapshot=snapshot,
        index=index,
        graph=LineageGraph(snapshot, index),
        as_of=AsOf(),
        now=EPOCH + 100 * DAY,
        linked={(item.version.name, item.version.version): item for item in items},
    )


USERS = (
    version("b", "10", CONV, service="v1", aliases=("champion",)),
    version("b", "9", "driver_hourly_stats@v1:conv_rate", "globals_view:g"),
    version("a", "1", "transformed:conv_plus", service="v2"),
    version("a", "2", "driver_customer:clicks", service="v1"),
    version("c", "1", "mixed:mix", aliases=("champion", "prod")),
    version("d", "1"),
)


@st.composite
def versions(draw: st.DrawFn, snapshot: RegistrySnapshot) -> list[LinkedVersion]:
    """Versions with some features of a registry, or served through one of its services."""
    known = [
        f"{name}:{each['name']}" for _, name, spec in snapshot.views() for each in spec["features"]
    ]
    refs = [*known, "gone:x", known[0].replace(":", "@v1:")]
    services = list(snapshot.objects.get("feature_service", {}))
    found = []
    for number in range(draw(st.integers(0, 5))):
        used = draw(st.lists(st.sampled_from(refs), unique=True, max_size=3))
        service = draw(st.sampled_from(["", "served", *services]))
        if service in services:
            used = list(map(str, service_refs(snapshot, service) or ()))
        aliases = draw(st.sampled_from([(), ("a",)]))
        days = draw(st.integers(0, 3))
        found.append(version("m", str(number), *used, service=service, days=days, aliases=aliases))
    return found
