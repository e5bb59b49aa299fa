"""Generates the marked blocks of the pages from the models of API and configuration: `make docs`.

A block is between ``<!-- generated: NAME -->`` and ``<!-- end -->``; everything outside of
blocks is written by hand. `tests/unit/docs` fails if a block differs from the generated text.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from feature_lineage.api.conditions import MODEL_REASONS, PROJECT_REASONS
from feature_lineage.api.crd import DEFINITIONS, Definition
from feature_lineage.api.pod_shapes import AS_IN_A_POD, NOT_AVAILABLE
from feature_lineage.api.structural import structural_schema
from feature_lineage.kube.config import OperatorConfig

DOCS: Final = Path(__file__).parent
SPEC_PAGES: Final = {
    "FeatureStoreProject": DOCS / "spec/v1alpha1/featurestoreproject.md",
    "TrainedModel": DOCS / "spec/v1alpha1/trainedmodel.md",
}
CONFIG_PAGE: Final = DOCS / "operations.md"
BLOCK: Final = re.compile(
    r"(?P<start><!-- generated: (?P<name>[^>]*?) -->\n).*?(?P<end><!-- end -->)", re.DOTALL
)
COLUMNS: Final = ("field", "type", "default", "meaning")

Schema = dict[str, Any]


def filled(text: str, kind: str) -> str:
    """Return the page of a kind with every block generated again.

    Raises:
        KeyError: no function generates a block with that name.
    """
    definition = next(d for d in DEFINITIONS if d.kind == kind)

    def fill(block: re.Match[str]) -> str:
        what, _, path = block["name"].partition(" ")
        return f"{block['start']}{_FILLS[what](definition, path)}\n{block['end']}"

    return BLOCK.sub(fill, text)


def with_config(text: str) -> str:
    """The page of the operator's configuration file, with every field of it."""
    schema = structural_schema(OperatorConfig, defaults=True)
    rows = [_row(name, field, required) for name, field, required in _walk(schema, "")]
    table = _table(COLUMNS, rows)
    return BLOCK.sub(lambda block: f"{block['start']}{table}\n{block['end']}", text)


def _fields(definition: Definition, path: str) -> str:
    """Every field below `path`, such as ``spec.source``; ``spec!runtime`` leaves a field out."""
    path, _, without = path.partition("!")
    part, *inner = path.split(".")
    model = definition.spec if part == "spec" else definition.status
    schema = structural_schema(model, defaults=part == "spec")
    for name in inner:
        schema = schema["properties"][name]
    rows = [
        _row(name, field, required)
        for name, field, required in _walk(schema, "")
        if not without or not re.match(rf"{without}[.\[]", name)
    ]
    if part != "spec":
        return _table(("field", "type", "meaning"), [(n, t, m) for n, t, _, m in rows])
    return _table(COLUMNS, rows)


def _walk(schema: Schema, prefix: str) -> Iterator[tuple[str, Schema, bool]]:
    for name, field in schema.get("properties", {}).items():
        if field.get("description") in (AS_IN_A_POD, NOT_AVAILABLE):
            continue
        yield f"{prefix}{name}", field, name in schema.get("required", ())
        inside = field.get("items", field)
        yield from _walk(inside, f"{prefix}{name}{'[]' if 'items' in field else ''}.")


def _row(name: str, field: Schema, required: bool) -> tuple[str, str, str, str]:
    default = field.get("default")
    text = "required" if required else ""
    if default not in (None, "") and not isinstance(default, dict):
        text = f"`{_plain(default)}`"
    meaning = field.get("description", "")
    values = field.get("enum") or field.get("items", {}).get("enum")
    if values:
        meaning += f" One of {', '.join(f'`{value}`' for value in values)}."
    return f"`{name}`", _type(field), text, meaning.replace("|", "\\|")


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"[{', '.join(map(_plain, value))}]" if isinstance(value, list) else str(value)


def _type(field: Schema) -> str:
    if field.get("x-kubernetes-int-or-string"):
        return "quantity"
    kind = str(field.get("type", ""))
    if kind == "array":
        return f"list of {_type(field['items'])}"
    if "additionalProperties" in field:
        return f"map of {_type(field['additionalProperties'])}"
    if field.get("format") == "date-time":
        return "time"
    if "(ms|s|m|h|d)" in field.get("pattern", ""):
        return "duration"
    return kind


def _rules(definition: Definition, path: str) -> str:
    """Return the table of the rules between fields, with each message once."""
    schema = structural_schema(definition.spec, defaults=True)
    found: dict[tuple[str, str], None] = {}
    for name, part in [("", schema), *((n, f) for n, f, _ in _walk(schema, ""))]:
        for where, field in ((name, part), (f"{name}[]", part.get("items", {}))):
            if not path or where.startswith(path):
                for rule in field.get("x-kubernetes-validations", ()):
                    found[where, rule["message"]] = None
    known = [(where, message) for where, message in found if "must be at least" not in message]
    return _table(("field", "rule"), [(f"`{w or 'spec'}`", m) for w, m in known])


def _columns(definition: Definition, _: str) -> str:
    rows = [(c.name.upper(), f"`{c.path}`", c.description) for c in definition.columns]
    return _table(("column", "from", "meaning"), rows)


def _reasons(definition: Definition, _: str) -> str:
    known = PROJECT_REASONS if definition.kind == "FeatureStoreProject" else MODEL_REASONS
    rows = [
        (f"[`{condition}`](#{condition.lower()})", ", ".join(f"`{r}`" for r in sorted(reasons)))
        for condition, reasons in known.items()
    ]
    return _table(("condition", "reasons while it is not True"), rows)


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


_FILLS: Final[dict[str, Callable[[Definition, str], str]]] = {
    "fields": _fields,
    "rules": _rules,
    "columns": _columns,
    "reasons": _reasons,
}


def main() -> None:
    """Write every page."""
    for kind, page in SPEC_PAGES.items():
        text = page.read_text(encoding="utf-8")
        page.write_text(filled(text, kind), encoding="utf-8")
    text = CONFIG_PAGE.read_text(encoding="utf-8")
    CONFIG_PAGE.write_text(with_config(text), encoding="utf-8")


if __name__ == "__main__":
    main()
