"""Reads MLflow and /metrics, as any other program would."""

import re
import time
from dataclasses import dataclass
from typing import Any

import httpx

from examples.demo.workspace import DemoError

_SAMPLE = re.compile(r"^(?P<name>\w+)\{(?P<labels>.*)\} (?P<value>\S+)$")
_SHOWN = ("model", "alias", "verdict", "feature_view")
_LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True)
class Sample:
    """One sample of /metrics."""

    name: str
    labels: dict[str, str]
    value: float

    @property
    def excerpt(self) -> str:
        """The sample with the labels that the demo uses."""
        shown = [f'{key}="{self.labels[key]}"' for key in _SHOWN if key in self.labels]
        return f"{self.name}{{{','.join(shown)},…}} {self.value:g}"


class MLflow:
    """An MLflow server, read over its REST API."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=f"{url}/api/2.0/mlflow", timeout=30, trust_env=False)

    def version_tags(self, model: str, version: str) -> dict[str, str]:
        answer = self._get("model-versions/get", name=model, version=version)
        return _pairs(answer["model_version"].get("tags", []))

    def operations(self, project: str) -> list[dict[str, Any]]:
        """The ops runs of a Feast project, the oldest first: status, name, tags."""
        experiment = self._get("experiments/get-by-name", experiment_name=f"{project}-feast-ops")
        identity = experiment["experiment"]["experiment_id"]
        found = self._post(
            "runs/search",
            experiment_ids=[identity],
            max_results=100,
            order_by=["attributes.start_time ASC"],
        )
        return [
            {
                "name": run["info"]["run_name"],
                "status": run["info"]["status"],
                "tags": _pairs(run["data"].get("tags", [])),
            }
            for run in found.get("runs", [])
        ]

    def _post(self, path: str, **body: Any) -> dict[str, Any]:
        response = self._http.post(path, json=body)
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer

    def _get(self, path: str, **query: str) -> dict[str, Any]:
        response = self._http.get(path, params=query)
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer


def _pairs(tags: list[dict[str, str]]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in tags}


def scrape(url: str, wanted: str, seconds: float = 60.0, least: int = 1) -> list[Sample]:
    """Return the samples of a /metrics page when so many have the name `wanted`.

    Raises:
        DemoError: there is none in time.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            text = httpx.get(url, timeout=10, trust_env=False).text
        except httpx.TransportError:
            text = ""
        samples = [sample for line in text.splitlines() if (sample := _sample(line))]
        if sum(sample.name == wanted for sample in samples) >= least:
            return samples
        time.sleep(0.2)
    raise DemoError(f"{url} shows no {wanted} after {seconds:.0f} s")


def _sample(line: str) -> Sample | None:
    match = _SAMPLE.match(line)
    if match is None:
        return None
    labels = dict(_LABEL.findall(match["labels"]))
    return Sample(match["name"], labels, float(match["value"]))
