"""The bounds of the deep fields of a pod."""

from typing import Any

import pytest
from pydantic import ValidationError

from feature_lineage.api.pods import RuntimeSpec


def nodes(count: int) -> dict[str, Any]:
    hosts = {"key": "host", "operator": "In", "values": [f"node-{n}" for n in range(count)]}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [hosts]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": terms}
    return {"affinity": {"nodeAffinity": required}}


def keys(count: int) -> list[dict[str, Any]]:
    return [{"key": f"k{n}", "path": f"p{n}", "mode": 0o400} for n in range(count)]


def volume(**source: Any) -> dict[str, Any]:
    return {"volumes": [{"name": "v", **source}]}


def config_map(count: int) -> dict[str, Any]:
    return volume(configMap={"name": "c", "items": keys(count)})


def secret(count: int) -> dict[str, Any]:
    return volume(secret={"secretName": "s", "items": keys(count)})


def projected(count: int) -> dict[str, Any]:
    return volume(projected={"sources": [{"secret": {"name": "s", "items": keys(count)}}]})


def csi(count: int) -> dict[str, Any]:
    attributes = {f"a{n}": "v" for n in range(count)}
    return volume(csi={"driver": "csi.example.org", "volumeAttributes": attributes})


@pytest.mark.parametrize("made", [nodes, config_map, secret, projected, csi])
def test_long_lists_have_256_entries_at_most(made: Any) -> None:
    given = made(256)
    runtime = RuntimeSpec.model_validate(given).as_dict()
    assert {name: runtime[name] for name in given} == given
    with pytest.raises(ValidationError, match="is too long: at most 256"):
        RuntimeSpec.model_validate(made(257))


@pytest.mark.parametrize("item", [{}, {"key": "k"}, {"path": "p"}, {"key": "k", "path": None}])
def test_an_item_of_a_long_list_is_not_empty(item: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"items\[0\] needs (key|path)"):
        RuntimeSpec.model_validate(volume(secret={"secretName": "s", "items": [item]}))


def test_a_volume_without_a_source_is_accepted() -> None:
    (found,) = RuntimeSpec.model_validate(volume()).volumes
    assert found.as_dict() == {"name": "v"}


def test_a_volume_with_two_sources_is_refused() -> None:
    with pytest.raises(ValidationError, match="set at most one of configMap"):
        RuntimeSpec.model_validate(volume(emptyDir={}, secret={"secretName": "s"}))


def test_a_pod_certificate_is_passed_on() -> None:
    certificate = {"signerName": "example.org/team", "keyType": "ED25519", "keyPath": "key.pem"}
    source = {"projected": {"sources": [{"podCertificate": certificate}]}}
    (found,) = RuntimeSpec.model_validate(volume(**source)).volumes
    assert found.as_dict() == {"name": "v", **source}
