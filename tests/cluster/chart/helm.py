"""Runs Helm on the project's chart, as a user does."""

import copy
import json
import os
import subprocess
from pathlib import Path
from typing import Any, Final

import yaml
from tests.cluster.binaries import KUBERNETES, binary

ROOT: Final = Path(__file__).parents[3]
CHART: Final = ROOT / "charts/feature-lineage-operator"
RELEASE: Final = "feature-lineage-operator"
NAMESPACE: Final = "feature-lineage"

Object = dict[str, Any]
Values = dict[str, Any]


class HelmFailed(RuntimeError):
    """Helm ended with an error; the message is its output."""


class Helm:
    """Helm with one kubeconfig, or with none.

    Args:
        home: folder for the files that Helm keeps in the home of a user.
        kubeconfig: kubeconfig of the cluster for releases; without it only commands that need no
            cluster work.
    """

    def __init__(self, home: Path, kubeconfig: Path | None = None) -> None:
        self._rendered: dict[str, list[Object]] = {}
        self._environment = {
            **{name: value for name, value in os.environ.items() if name != "KUBECONFIG"},
            **{f"HELM_{kind}_HOME": str(home / kind) for kind in ("CACHE", "CONFIG", "DATA")},
            "KUBECONFIG": str(kubeconfig or home / "none"),
        }

    def __call__(self, *arguments: str, values: Values | None = None) -> str:
        """Run Helm and return its output.

        Raises:
            HelmFailed: with the whole output.
        """
        with_values = () if values is None else ("--values", "-")
        done = subprocess.run(
            [binary("helm"), *arguments, *with_values],
            env=self._environment,
            input=None if values is None else json.dumps(values),
            capture_output=True,
            text=True,
            timeout=120,
        )
        if done.returncode != 0:
            raise HelmFailed(f"helm {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    def render(self, values: Values | None = None, *arguments: str) -> list[Object]:
        """Render every object of the chart, without a cluster.

        Raises:
            HelmFailed: the schema rejects the values, or a template does.
        """
        key = json.dumps([values or {}, arguments])
        if key not in self._rendered:
            text = self(
                *("template", RELEASE, str(CHART), "--namespace", NAMESPACE),
                *("--kube-version", KUBERNETES, *arguments),
                values=values or {},
            )
            self._rendered[key] = [o for o in yaml.load_all(text, yaml.CSafeLoader) if o]
        return copy.deepcopy(self._rendered[key])


def only(objects: list[Object], kind: str, suffix: str = "") -> Object:
    """Return the one object of a kind whose name ends with `suffix`."""
    (found,) = (o for o in of(objects, kind) if o["metadata"]["name"].endswith(suffix))
    return found


def of(objects: list[Object], *kinds: str) -> list[Object]:
    return [o for o in objects if o["kind"] in kinds]


def config(objects: list[Object]) -> Object:
    """The operator's configuration file."""
    text = only(objects, "ConfigMap")["data"]["config.yaml"]
    loaded: Object = yaml.safe_load(text)
    return loaded


def pod(objects: list[Object]) -> Object:
    """Spec of the operator's pods."""
    spec: Object = only(objects, "Deployment")["spec"]["template"]["spec"]
    return spec
