"""The connection to the API server."""

from pathlib import Path

import pytest
import yaml

from feature_lineage.kube.api_client import connect

SERVER = "https://kube.example:6443"


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    file = tmp_path / "kubeconfig"
    named = {
        "clusters": [{"name": "c", "cluster": {"server": SERVER}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    file.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", **named}))
    return file


@pytest.mark.parametrize(
    ("environment", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://proxy.example:3128"}, "http://proxy.example:3128"),
        ({"HTTPS_PROXY": "http://proxy.example:3128", "NO_PROXY": "kube.example"}, None),
        ({"HTTP_PROXY": "http://proxy.example:3128"}, None),
    ],
)
async def test_the_proxy_is_the_one_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
    kubeconfig: Path,
    environment: dict[str, str],
    proxy: str | None,
) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    async with await connect(str(kubeconfig)) as api:
        assert api.configuration.proxy == proxy
