"""Prometheus evaluates the alerts about the online store: after `for`, not before, and they end."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cluster.chart.helm import CHART

RULES = CHART / "files/alerts.yaml"
INFO = {
    "namespace": "ml",
    "name": "champion",
    "model": "driver_model",
    "alias": "champion",
    "version": "3",
    "feature_service": "activity",
    "origin": "RunTag",
    "model_owner": "ranking",
    "service_owner": "features",
    "view_owners": "a@example.com,b@example.com",
    "project_namespace": "ml",
    "project_name": "ranking",
    "project": "driver_ranking",
}
SERVING = {"kind": "TrainedModel", "namespace": "ml", "name": "champion", "type": "Serving"}
LABELS = ("feature_service", "origin", "project")


@pytest.mark.parametrize(
    ("alert", "status", "reason", "minutes", "severity"),
    [
        ("ModelServingFails", "False", "ServingFails", 1, "critical"),
        ("ModelFeaturesNotServed", "False", "NotServed", 1, "critical"),
        ("ModelFeaturesMostlyNull", "False", "MostlyNull", 1, "critical"),
        ("ModelFeaturesSkewed", "False", "Skewed", 1, "critical"),
        ("ModelFeatureServerDiffers", "False", "ServerDiffers", 1, "critical"),
        ("ModelProbeUnavailable", "Unknown", "ProbeUnavailable", 180, "warning"),
    ],
)
def test_each_finding_fires_after_its_time(
    tmp_path: Path, alert: str, status: str, reason: str, minutes: int, severity: str
) -> None:
    bad = {**SERVING, "status": status, "reason": reason}
    good = {**SERVING, "status": "True", "reason": "Succeeded"}
    labels = {
        **{name: value for name, value in INFO.items() if name not in LABELS},
        **bad,
        "severity": severity,
    }
    others = [name for name in alerts() if name != alert]
    # Good until minute 9, bad from minute 10 on, good again `for` and ten minutes later.
    checks(
        tmp_path,
        {
            series("feature_lineage_model_info", INFO): each_minute((minutes + 40, "1")),
            series("feature_lineage_condition", good): each_minute(
                (10, "1"), (1, "stale"), (minutes + 9, "_"), (20, "1")
            ),
            series("feature_lineage_condition", bad): each_minute(
                (10, "_"), (minutes + 10, "1"), (1, "stale")
            ),
        },
        {
            ("9m", alert): [],
            (f"{minutes + 9}m", alert): [],
            (f"{minutes + 11}m", alert): [labels],
            **{(f"{minutes + 11}m", other): [] for other in others},
            (f"{minutes + 21}m", alert): [],
        },
    )


def test_what_nobody_knows_alarms_nobody(tmp_path: Path) -> None:
    """A model that was not probed yet, and one that is never served online."""
    found = {
        series(
            "feature_lineage_condition",
            {**SERVING, "name": reason, "status": "Unknown", "reason": reason},
        ): "1x600"
        for reason in ("NotProbed", "NotServedOnline")
    }
    info = {
        series("feature_lineage_model_info", {**INFO, "name": reason}): "1x600"
        for reason in ("NotProbed", "NotServedOnline")
    }

    checks(tmp_path, found | info, {("9h", alert): [] for alert in alerts()})


def each_minute(*parts: tuple[int, str]) -> str:
    """Samples in the notation of promtool; ``_`` is none."""
    return " ".join(value for times, value in parts for _ in range(times))


def alerts() -> list[str]:
    """The alerts about the online store."""
    (group,) = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule["alert"] for rule in group["rules"] if 'type="Serving"' in rule["expr"]]


def series(name: str, labels: dict[str, str]) -> str:
    pairs = ",".join(f'{key}="{value}"' for key, value in labels.items())
    return f"{name}{{{pairs}}}"


def checks(
    folder: Path, given: dict[str, str], expected: dict[tuple[str, str], list[dict[str, str]]]
) -> None:
    """Have promtool evaluate the rules of the chart with these series.

    Args:
        expected: (moment, alert) → the labels of each alert that fires then.
    """
    (group,) = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    annotations = {rule["alert"]: rule["annotations"] for rule in group["rules"]}
    test: dict[str, Any] = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": v} for name, v in given.items()],
                "alert_rule_test": [
                    {
                        "eval_time": moment,
                        "alertname": alert,
                        "exp_alerts": [
                            {
                                "exp_labels": labels,
                                "exp_annotations": filled(annotations[alert], labels),
                            }
                            for labels in firing
                        ],
                    }
                    for (moment, alert), firing in expected.items()
                ],
            }
        ],
    }
    file = folder / "test.yaml"
    file.write_text(yaml.safe_dump(test), encoding="utf-8")
    ran = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, check=False)

    assert ran.returncode == 0, (ran.stdout + ran.stderr).decode()


def filled(annotations: dict[str, str], labels: dict[str, str]) -> dict[str, str]:
    """The annotations as a person reads them; each names what the runbook needs."""
    found = {
        name: re.sub(r"\{\{ \$labels\.(\w+) }}", lambda label: labels[label[1]], text)
        for name, text in annotations.items()
    }
    assert "{{" not in str(found)
    return found
