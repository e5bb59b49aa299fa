"""`docs/metrics.md` and the code name the same metrics."""

import re
from pathlib import Path

import yaml

from feature_lineage.decide.project.history import KEPT_OPERATIONS
from feature_lineage.metrics import Instruments, State, StateCollector
from feature_lineage.metrics.catalogue import CATALOGUE, HOST, MetricDefinition
from feature_lineage.metrics.families import MAX_LABEL
from feature_lineage.metrics.process import ProcessMetrics

DOCS = (Path(__file__).parents[3] / "docs/metrics.md").read_text(encoding="utf-8")
NAMES = {definition.name for definition in CATALOGUE}


def row(definition: MetricDefinition) -> str:
    labels = ", ".join(f"`{label}`" for label in definition.labels)
    return f"| `{definition.name}` | {definition.type} | {labels} | {definition.help} |"


def test_the_tables_hold_every_metric_and_no_other() -> None:
    rows = [line for line in DOCS.splitlines() if line.startswith("| `")]

    assert [row(definition) for definition in CATALOGUE] == rows


def test_the_code_exposes_what_is_listed() -> None:
    instruments = Instruments()
    instruments.registry.register(StateCollector(State))
    instruments.registry.register(ProcessMetrics({each.name: lambda: 1.0 for each in HOST}))
    exposed = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in instruments.registry.collect()
    }

    ours = {name for name in exposed if not name.startswith("process_")}

    assert ours == NAMES


def test_queries_and_alerts_use_metrics_and_labels_that_exist() -> None:
    code = "\n".join(re.findall(r"```(?:promql|yaml)\n(.*?)```", DOCS, re.DOTALL))
    used = {
        re.sub(r"(_seconds)_(bucket|sum|count)$", r"\1", name)
        for name in re.findall(r"\b(?:feast|feature_lineage)_\w+", code)
    }
    grouped = {
        label
        for labels in re.findall(r"(?:\bon|\bby|group_left|group_right) ?\(([^()]*)\)", code)
        for label in re.findall(r"\w+", labels)
    }

    assert used <= NAMES
    assert grouped <= {label for metric in CATALOGUE for label in metric.labels} | {"le"}


def test_alerts_are_rules_as_prometheus_reads_them() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL)
    rules = [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]

    assert len(rules) == len({rule["alert"] for rule in rules})
    for rule in rules:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["annotations"]["summary"]


def test_each_alert_comes_with_what_to_do() -> None:
    alerts = re.findall(r"- alert: (\w+)", DOCS)
    table = DOCS.partition("### What to do about an alert\n")[2]
    documented = re.findall(r"^#### (\w+)\n\n\S", table, re.MULTILINE)
    linked = re.findall(r"runbook_url: https://\S+/docs/metrics\.md#(\w+)", DOCS)

    assert documented == alerts
    assert linked == [alert.lower() for alert in alerts]


def test_numbers_are_the_codes() -> None:
    assert f"longer than {MAX_LABEL} characters" in DOCS
    assert KEPT_OPERATIONS == 10
    assert "the last ten operations" in DOCS
