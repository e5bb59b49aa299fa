"""An upgrade from a version that allowed everything stops until the values say what is allowed."""

import shutil
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from tests.access import EVERYTHING
from tests.cluster.chart.helm import CHART, NAMESPACE, RELEASE, Helm, HelmFailed
from tests.cluster.kubectl import Kubectl

PROD: Final = {"name": "prod", "trackingUri": "https://mlflow.example.org", "workspace": "ml"}
OPEN: Final = {"allowAnyTrackingUri": True, "allowAnyGitHost": True}
CLOSED: Final = {"allowAnyTrackingUri": False, "allowAnyGitHost": False}
LISTED: Final = {
    "allowedTrackingUris": ["https://mlflow.example.org"],
    "allowedGitHosts": ["git.example.org"],
}


def upgraded(helm: Helm, values: dict[str, Any]) -> str:
    """Render an upgrade without a cluster: the installed configuration cannot be read."""
    arguments = ("template", RELEASE, str(CHART), "--namespace", NAMESPACE, "--is-upgrade")
    return helm(*arguments, values=values)


def printed(error: HelmFailed) -> dict[str, Any]:
    """The values that the error prints."""
    text = str(error).partition("These values keep that:\n\n")[2].partition("\n\n")[0]
    values: dict[str, Any] = yaml.safe_load(text)
    return values


@pytest.mark.parametrize(
    ("values", "same"),
    [
        pytest.param({}, OPEN, id="no values"),
        pytest.param(LISTED, {}, id="lists"),
        pytest.param(
            {"allowedGitHosts": ["git.corp"]}, {"allowAnyTrackingUri": True}, id="one list"
        ),
        pytest.param(
            {**LISTED, "mlflowServers": [PROD, {**PROD, "name": "lab", "access": []}]},
            {
                "mlflowServers": [
                    {**PROD, "access": [EVERYTHING]},
                    {**PROD, "name": "lab", "access": []},
                ]
            },
            id="a server without access",
        ),
    ],
)
def test_todays_values_fail_and_the_printed_ones_keep_the_behaviour(
    helm: Helm, values: dict[str, Any], same: dict[str, Any]
) -> None:
    if same:
        with pytest.raises(HelmFailed, match="nothing was changed") as failed:
            upgraded(helm, values)
        assert printed(failed.value) == same

    assert "kind: Deployment" in upgraded(helm, {**values, **same})


@pytest.mark.parametrize("values", [CLOSED, {**CLOSED, "mlflowServers": [{**PROD, "access": []}]}])
def test_an_upgrade_may_close_everything_on_purpose(helm: Helm, values: dict[str, Any]) -> None:
    assert "kind: Deployment" in upgraded(helm, values)


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """The chart of a version without these values."""
    chart = shutil.copytree(CHART, tmp_path / "before")
    helpers = chart / "templates/_helpers.tpl"
    lines = helpers.read_text(encoding="utf-8").splitlines(keepends=True)
    helpers.write_text("".join(line for line in lines if not line.startswith("allowAny")))
    (chart / "templates/_upgrade.tpl").write_text('{{ define "flo.checkUpgrade" }}{{ end }}')
    return chart


def test_an_upgrade_of_an_open_release_changes_nothing_until_the_values_decide(
    releases: Helm, kubectl: Kubectl, namespace: str, before: Path
) -> None:
    def helm(verb: str, chart: Path = CHART, **values: Any) -> dict[str, Any]:
        releases(verb, RELEASE, str(chart), "--namespace", namespace, values=values)
        return configuration(kubectl, namespace)

    installed = helm("install", before)
    assert "allowAnyGitHost" not in installed

    with pytest.raises(HelmFailed, match="nothing was changed"):
        helm("upgrade", workers=4)
    assert configuration(kubectl, namespace) == installed

    decided = helm("upgrade", workers=4, **OPEN)
    assert (decided["workers"], decided["allowAnyGitHost"]) == (4, True)
    assert helm("upgrade", workers=8)["allowAnyGitHost"] is False  # it is decided from then on


def configuration(kubectl: Kubectl, namespace: str) -> dict[str, Any]:
    text = kubectl("-n", namespace, "get", "cm", RELEASE, "-o", r"jsonpath={.data.config\.yaml}")
    content: dict[str, Any] = yaml.safe_load(text)
    return content
