"""The record of an older operator is read once, although this one would write another text."""

from typing import Any

from tests.unit.decide.build import NOW

from feature_lineage.api import FeatureStoreProject
from feature_lineage.decide.facts import Key
from feature_lineage.features.snapshot import canonical_json, digest_of
from feature_lineage.operations.probe_answer import ProbeAnswer
from feature_lineage.operations.probe_record import ProbeRecord
from feature_lineage.reconcile.probe_cache import ProbeCache


class Store:
    """A stored text, and how often it was read."""

    def __init__(self, text: str) -> None:
        self.text, self.reads = text, 0
        self.probes = self  # as `Ports` has it

    async def read(self, key: Key, digest: str) -> ProbeRecord:
        self.reads += 1
        return ProbeRecord.parse(self.text.encode(), digest)


def project(digest: str) -> FeatureStoreProject:
    value: dict[str, Any] = {
        "metadata": {"name": "p", "namespace": "n"},
        "spec": {"project": "p", "source": {"local": {"path": "."}}, "probe": {}},
        "status": {"probe": {"digest": digest}},
    }
    return FeatureStoreProject.model_validate(value)


async def test_a_record_of_an_older_operator_is_read_once() -> None:
    record = ProbeRecord().with_answers((ProbeAnswer(question="service a"),), NOW, ())
    text = canonical_json(record.model_dump(mode="json"))
    store, cache, older = Store(text), ProbeCache(), digest_of(text)
    ports: Any = store
    assert older != record.digest

    found = [await cache.current(ports, project(older)) for _ in range(3)]

    assert (found, store.reads) == ([record] * 3, 1)
    newer = Store(record.text)
    now: Any = newer
    assert await cache.current(now, project(record.digest)) == record
    assert newer.reads == 1
