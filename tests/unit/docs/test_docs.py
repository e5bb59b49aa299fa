"""The documentation agrees with the code, as far as a program can check."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from tests.unit.docs.pages import (
    ARCHITECTURE,
    IDS,
    METRICS,
    MODEL_PAGE,
    OPERATIONS,
    PAGES,
    PROJECT_PAGE,
    ROOT,
    blocks,
    generator,
    names_in,
    prose,
    read,
    rows,
    section,
)

from feature_lineage.api.conditions import (
    MODEL_REASONS,
    PROJECT_REASONS,
    ModelCondition,
    ProjectCondition,
)
from feature_lineage.api.enums import OperationKind, Verdict
from feature_lineage.api.manifests import load_manifests
from feature_lineage.cli.main import main
from feature_lineage.metrics.catalogue import CATALOGUE
from feature_lineage.operations import records
from feature_lineage.operations.job_report import JobReport
from feature_lineage.operations.kinds import KINDS
from feature_lineage.operations.protocol import ApplyRequest, JobRequest
from feature_lineage.reasons import Reason
from feature_lineage.tracking import ops

# Its YAML contains Prometheus rules, which another test reads.
NO_MANIFESTS = {METRICS}
SEPARATORS = {"|", "||", "&&", ";", ">", ">>", "2>&1", "&"}


@pytest.mark.parametrize("kind", ["FeatureStoreProject", "TrainedModel"])
def test_generated_blocks_are_current(kind: str) -> None:
    page = generator().SPEC_PAGES[kind]

    assert generator().filled(read(page), kind) == read(page), "run `make docs`"


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_manifests_validate(page: Path) -> None:
    for block in blocks(page):
        if block.info != "yaml" or page in NO_MANIFESTS:
            continue

        manifests = load_manifests(block.text, f"{page.name} block at line {block.line}")

        assert manifests, f"{page.name}:{block.line}: no manifest; is it a fragment?"


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_only_whole_manifests_and_known_languages_are_fenced(page: Path) -> None:
    known = {"", "yaml", "yaml fragment", "sh", "console", "promql"}

    assert {block.info for block in blocks(page)} <= known


def commands(page: Path) -> Iterator[tuple[int, list[str]]]:
    """Return every command in a block or in inline code, as words."""
    for block in blocks(page):
        for number, line in enumerate(block.text.splitlines(), block.line + 1):
            text = line.strip().removeprefix("- ").removeprefix("run: ")
            if block.info == "console":
                if not text.startswith("$ "):
                    continue
                text = text.removeprefix("$ ")
            yield number, shlex.split(text, comments=True) if _is_command(text) else []
    for number, line in enumerate(prose(page).splitlines(), 1):
        for text in names_in(line):
            yield number, shlex.split(text) if _is_command(text) and "…" not in text else []


def _is_command(text: str) -> bool:
    return text.startswith(("feature-lineage ", "make "))


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_commands_and_their_options_exist(page: Path) -> None:
    targets = re.findall(r"^([a-z0-9-]+):", read(ROOT / "Makefile"), re.MULTILINE)
    for line, words in commands(page):
        if not words:
            continue
        end = next((i for i, word in enumerate(words) if word in SEPARATORS), len(words))
        program, *arguments = words[:end]
        if program == "make":
            named = {word for word in arguments if "=" not in word and "/" not in word}
            assert named <= set(targets), f"{page.name}:{line}: make {named - set(targets)}"
            continue
        try:
            parses(arguments)
        except click.ClickException as error:
            pytest.fail(f"{page.name}:{line}: {' '.join(words)}: {error.format_message()}")


def parses(arguments: list[str]) -> None:
    """Parse a command line as `main` would, without running the command."""
    try:
        with main.make_context("feature-lineage", list(arguments)) as context:
            if not (words := [*context._protected_args, *context.args]):
                return
            name, command, rest = main.resolve_command(context, words)
            assert command is not None
            command.make_context(name, rest, parent=context)
    except click.exceptions.Exit:
        return  # --help and --version end at once


def anchors(page: Path) -> set[str]:
    """Return the anchor that the usual viewers derive from a heading."""
    found = set()
    for heading in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        found.add(re.sub(r"[^\w\- ]", "", text).replace(" ", "-"))
    return found


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page

        assert there.exists(), f"{page.name}: {target}"
        if anchor:
            assert anchor in anchors(there), f"{page.name}: {target}"


def documented(page: Path, condition: str) -> set[str]:
    """Return the reasons in the table of one condition."""
    text = section(page, f"### `{condition}`")
    return {name for cells in rows(text) for name in names_in(cells[0])}


# Reasons of a condition that is True, and Progressing, which any condition may have for a while.
BESIDES = {
    ProjectCondition.APPLIED: {Reason.OBSERVED},
    ModelCondition.LINEAGE_VERIFIED: {
        *(Reason.VERIFIED, Reason.UNCHANGED, Reason.NOT_SERVED_ONLINE, Reason.SERVICE_MISMATCH)
    },
    ModelCondition.TAGGED: {Reason.PROGRESSING},
}


@pytest.mark.parametrize(
    ("page", "condition", "reasons"),
    [
        *((PROJECT_PAGE, condition, reasons) for condition, reasons in PROJECT_REASONS.items()),
        *((MODEL_PAGE, condition, reasons) for condition, reasons in MODEL_REASONS.items()),
    ],
    ids=lambda value: str(value) if isinstance(value, ProjectCondition | ModelCondition) else "",
)
def test_each_condition_lists_its_reasons_and_no_others(
    page: Path, condition: str, reasons: frozenset[str]
) -> None:
    expected = {str(reason) for reason in (*reasons, *BESIDES.get(condition, ()))}

    assert documented(page, condition) == expected


OF_READY = {
    PROJECT_PAGE: {
        *(Reason.SUCCEEDED, Reason.DELETING, Reason.DELETION_BLOCKED, Reason.INVALID_MANIFEST)
    },
    MODEL_PAGE: {Reason.SUCCEEDED},
}
"""Reasons of other conditions that Ready does not use."""


@pytest.mark.parametrize("page", [PROJECT_PAGE, MODEL_PAGE], ids=["project", "model"])
def test_ready_lists_the_reasons_of_its_own(page: Path) -> None:
    assert documented(page, "Ready") == OF_READY[page]


NOT_OF_CONDITIONS = {
    *(Reason.MODELS_HURT, Reason.WARNING),
    *(Reason.ERROR, Reason.TRANSIENT_ERROR, Reason.WAITING, Reason.NOT_FOUND, Reason.INVALID),
    *(Reason.STATE_UNUSABLE, Reason.PORT_UNAVAILABLE, Reason.NO_CLUSTER, Reason.CONFLICT),
    *(Reason.API_SERVER_UNAVAILABLE, Reason.NOT_LEADING, Reason.LEASE_LOST),
    *(Reason.WATCHING_ENDED, Reason.INTERRUPTED),
}
"""Reasons of Events, of the log, and of errors that a condition shows with another reason."""


def test_every_reason_of_a_condition_is_documented() -> None:
    project = (documented(PROJECT_PAGE, condition) for condition in ProjectCondition)
    model = (documented(MODEL_PAGE, condition) for condition in ModelCondition)

    assert set().union(*project, *model) == set(Reason) - NOT_OF_CONDITIONS


def test_every_condition_has_a_row_in_operations() -> None:
    documented = [cells[0].split("]")[0] for cells in rows(section(OPERATIONS, "## Conditions"))]
    conditions = {
        *(f"project [`{condition}`" for condition in PROJECT_REASONS),
        *(f"model [`{condition}`" for condition in MODEL_REASONS),
    }

    assert {cell for cell in documented if "[" in cell} == conditions


@pytest.mark.parametrize(
    ("page", "start", "values"),
    [
        (METRICS, "`kind` is ", set(OperationKind)),
        (METRICS, "`verdict` is ", set(Verdict)),
        (ARCHITECTURE, "| `kind` | ", {traits.command for traits in KINDS.values()}),
    ],
    ids=["kinds in metrics", "verdicts in metrics", "commands in the job protocol"],
)
def test_list_of_values_is_complete(page: Path, start: str, values: set[str]) -> None:
    (line,) = (each for each in read(page).splitlines() if each.startswith(start))

    assert set(map(str, values)) <= set(names_in(line))


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_no_metric_is_made_up(page: Path) -> None:
    known = {definition.name for definition in CATALOGUE}
    named = re.findall(r"\b(feature_lineage_\w+|feast_(?:feature|materialization)_\w+)", read(page))
    used = {re.sub(r"(_seconds)_(bucket|sum|count)$", r"\1", name) for name in named}

    assert used <= known


@pytest.mark.parametrize("model", [JobRequest, ApplyRequest, JobReport])
def test_the_protocol_is_documented_field_by_field(
    model: type[JobRequest | ApplyRequest | JobReport],
) -> None:
    tables = re.split(r"^\| field of ", read(ARCHITECTURE), flags=re.MULTILINE)
    (table,) = (t for t in tables if t.startswith(f"`{model.__name__}`"))
    found = {
        name
        for cells in rows(f"| {table.partition(chr(10) * 2)[0]}")
        for name in names_in(cells[0])
    }

    assert found == set(model.model_fields)


def test_every_tag_and_artifact_of_an_ops_run_is_documented() -> None:
    text = section(ARCHITECTURE, "## Ops runs")
    values = {
        value
        for module in (records, ops)
        for name, value in vars(module).items()
        if name.endswith(("_TAG", "_ARTIFACT")) and isinstance(value, str)
    }
    documented = {name for cells in rows(text) for name in names_in(cells[0])}

    assert documented == values


def test_contributing_lists_the_packages_of_the_gate() -> None:
    (installed,) = re.findall(
        r"^packages=\((.*?)\)", read(ROOT / ".ci/run"), re.DOTALL | re.MULTILINE
    )
    packages = re.findall(r"`apt-get install ([^`]+)`", read(ROOT / "CONTRIBUTING.md"))
    everywhere = {"git", "make", "openssh-client", "python3-venv"}

    assert set(" ".join(packages).split()) | everywhere == set(installed.split())


def test_modules_that_are_named_exist() -> None:
    code = ROOT / "operator/feature_lineage"
    named = re.findall(r"`([a-z_]+/[a-z_]+\.py)`", read(ARCHITECTURE))

    assert [name for name in named if not (code / name).exists()] == []
    assert len(named) > 20
