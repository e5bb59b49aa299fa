"""Generates the files that the chart shares with the docs: `make chart`.

A packaged chart cannot read files outside its folder, so the CRDs and the alerts of
the documentation are copied into the chart, and the tables of its values are generated from the
schema. `tests/cluster/chart` fails if a file differs from the generated text.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[1]
CHART: Final = ROOT / "charts/feature-lineage-operator"
PAGES: Final = (CHART / "README.md", ROOT / "docs/install.md")
TABLE: Final = re.compile(
    r"(?P<start><!-- generated: values -->\n).*?(?P<end><!-- end -->)", re.DOTALL
)
ALERTS: Final = re.compile(r"^```yaml\n(groups:.*?)^```", re.DOTALL | re.MULTILINE)
# Maps of the API's own types and of free keys: one row each.
WHOLE: Final = {"resources", "strings", "names", "named", "keyOf"}

Schema = dict[str, Any]


def files() -> dict[Path, str]:
    """Every file that is generated, whole or in part, with its text."""
    found = {
        CHART / "files/crds" / source.name: source.read_text(encoding="utf-8")
        for source in sorted((ROOT / "crds").glob("*.yaml"))
    }
    metrics = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    (alerts,) = ALERTS.findall(metrics)
    found[CHART / "files/alerts.yaml"] = (
        f"# From docs/metrics.md by `make chart`; do not edit.\n{alerts}"
    )
    table = values_table()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        found[page] = TABLE.sub(lambda block: f"{block['start']}{table}\n{block['end']}", text)
    return found


def values_table() -> str:
    """Every value with its default and meaning."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    defaults = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    rows = [("value", "default", "meaning"), ("---", "---", "---")]
    for path, field in values(schema, schema, ""):
        rows.append((f"`{path}`", _default(path, defaults), _meaning(field)))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def values(field: Schema, schema: Schema, path: str) -> Iterator[tuple[str, Schema]]:
    """Every value of the schema, such as ``image.tag`` or ``mlflowServers[].name``."""
    for name, child in field.get("properties", {}).items():
        where = f"{path}.{name}".lstrip(".")
        reference = str(child.get("$ref", "")).rpartition("/")[2]
        known = {**schema["definitions"].get(reference, {}), **child}
        inside = known.get("items", known)
        if reference in WHOLE or not inside.get("properties"):
            yield where, known
            continue
        if "items" in known:
            yield where, known
            where += "[]"
        yield from values(inside, schema, where)


def _default(path: str, defaults: Any) -> str:
    value = defaults
    for name in path.split("."):
        if not isinstance(value, dict) or name not in value:
            return ""
        value = value[name]
    text = '""' if value == "" else json.dumps(value) if not isinstance(value, str) else value
    return f"`{text}`"


def _meaning(field: Schema) -> str:
    choice = ", ".join(f"`{value}`" for value in field.get("enum", ()))
    text = str(field["description"])
    return f"{text} One of {choice}." if choice else text


def main() -> None:
    """Write every file."""
    for path, text in files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
