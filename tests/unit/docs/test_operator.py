"""The pages about the operator's process and its numbers agree with the code."""

import json
import logging
import re
from pathlib import Path

import click
import pytest
from tests.unit.docs.pages import (
    ARCHITECTURE,
    LIMITS,
    OPERATIONS,
    PROJECT_PAGE,
    generator,
    names_in,
    read,
    rows,
    section,
)

from feature_lineage.api.conditions import PROJECT_REASONS, ProjectCondition
from feature_lineage.cli.main import operator as operator_command
from feature_lineage.decide.project import action_results, lifecycle
from feature_lineage.http import health
from feature_lineage.kube import api_client, kube_events, lease, manager, snapshots
from feature_lineage.kube.cache import kopf_settings, relist
from feature_lineage.kube.jobs import job_manifest, kube_jobs
from feature_lineage.kube.logs import JsonFormatter
from feature_lineage.kube.operator_process import identity
from feature_lineage.kube.url_allowlist import HostGlob
from feature_lineage.metrics import routes
from feature_lineage.operations import pod_protocol
from feature_lineage.reasons import TERMINAL_REASONS
from feature_lineage.runner import newer_guard, pod, publish
from feature_lineage.sources import slow_source_bulkhead as bulkhead
from feature_lineage.tracking import client_pool
from feature_lineage.workqueue import queue as workqueue

WORDS = {1: "one", 4: "four", 5: "five", 6: "six", 8: "eight", 10: "ten"}


def test_the_table_of_the_configuration_file_is_current() -> None:
    assert generator().with_config(read(OPERATIONS)) == read(OPERATIONS), "run `make docs`"


def table(page: Path, heading: str, number: int = 0) -> dict[str, str]:
    """Return first and second cell of every row of a section's table, the first one by default."""
    tables = re.split(r"\n(?!\|)", section(page, heading))
    found = [dict(cells[:2] for cells in rows(text.strip())) for text in tables if "|---" in text]
    return found[number]


def test_operator_options_are_documented_with_defaults() -> None:
    documented = table(OPERATIONS, "### The process")
    options = {option.opts[0]: option for option in operator_command.params}

    assert {names_in(cell)[0] for cell in documented} == options.keys()
    for cell, default in documented.items():
        name, *environment = names_in(cell)
        option = options[name]
        assert isinstance(option, click.Option)
        assert environment == ([option.envvar] if option.envvar else [])
        assert (names_in(default) or [""])[0] == str(option.default)


def test_the_environment_of_the_operator_is_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [names_in(cell)[0] for cell in table(OPERATIONS, "### The process", 1)]
    for name in names:
        monkeypatch.setenv(name, f"value of {name}")

    who = identity()

    assert {who.name, who.namespace, who.service_account} == {f"value of {name}" for name in names}


def test_exit_codes_are_those_of_the_help() -> None:
    codes = set(table(OPERATIONS, "### The process", 2))
    help_text = operator_command.help or ""

    assert codes == set(re.findall(r"^ *(\d)  ", help_text, re.MULTILINE))


def test_the_fields_of_a_log_line_are_documented() -> None:
    error = ValueError("x")
    caught = (ValueError, error, None)
    record = logging.LogRecord("x", logging.ERROR, "f", 1, "m", (), caught)
    record.k8s_ref = {"kind": "TrainedModel", "namespace": "ml", "name": "m"}
    line = json.loads(JsonFormatter().format(record))
    documented = table(OPERATIONS, "### Probes and logs", 1)

    assert [names_in(cell)[0] for cell in documented] == list(line)
    assert names_in(documented["`object`"]) == list(line["object"])


def seconds(text: str) -> float:
    """``2 s``, ``5 min``, ``1 h``."""
    number, unit = text.split(" ")
    return float(number) * {"s": 1, "min": 60, "h": 3600}[unit]


def test_the_times_of_the_cluster_host_are_those_of_the_code() -> None:
    known = {
        "the Lease is renewed every": [lease.RETRY],
        "a leader that cannot renew it ends after": [lease.RENEW],
        "a Lease without renewal can be taken by others after": [lease.DURATION],
        "running reconciles may continue after SIGTERM for": [manager.DRAIN_SECONDS],
        "a request to the API server times out after": [api_client.REQUEST_SECONDS],
        "a watch without messages is opened again after": [kopf_settings.INACTIVITY_SECONDS],
        "names are compared with the API server every": [relist.EVERY_SECONDS],
        "a running job is checked, in addition to its events, every": [
            lifecycle.RUNNING_INTERVAL.total_seconds()
        ],
        "the cause for which a job does not start is determined every": [
            lifecycle.STARTING_INTERVAL.total_seconds(),
            lifecycle.WAITING_INTERVAL.total_seconds(),
        ],
        "a job whose guard became older than `maxGuardAge` waits for a newer one at most": [
            newer_guard.WAIT_SECONDS
        ],
        "a pod may wait for a node and its image, in addition to `runtime.timeout`, for": [
            job_manifest.START_GRACE_SECONDS
        ],
        "a finished Job and its log are kept (or until its operation is recorded) for at least": [
            kube_jobs.KEPT_SECONDS
        ],
        "a job tries to publish its report for its `runtime.timeout`, but at least for": [
            pod.MIN_PUBLISH_SECONDS,
            publish.REFUSED_SECONDS,
        ],
        "a credential of MLflow is read again after": [client_pool.CREDENTIAL_AGE.total_seconds()],
    }
    documented = {
        what: [seconds(each) for each in re.findall(r"\d+ (?:s|min|h)\b", time)]
        for what, time in table(OPERATIONS, "### Times").items()
    }

    assert documented == known


def kib(number: int) -> str:
    return f"{number / 1024:g} KiB"


def minutes(number: float) -> int:
    assert number % 60 == 0
    return int(number) // 60


PAUSES = (
    f"after {workqueue.INITIAL_BACKOFF:g} s, doubling to {minutes(workqueue.MAX_BACKOFF)} min, "
    "each pause shortened at random by up to a half"
)
KEPT = (
    f"newest {WORDS[snapshots.KEPT_SNAPSHOTS]}, gzip, in pieces of {kib(snapshots.PIECE_BYTES)}; "
    f"their timeline, {snapshots.KEPT_RECORDS:,} rows"
)
SLOW = f"took {bulkhead.SLOW_SECONDS:g} s or longer and got no answer"
FREED = f"until a slot is free or {minutes(bulkhead.RESET_SECONDS)} min have passed"


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (OPERATIONS, f"it has not run for {health.LIMIT_SECONDS:g} s"),
        (OPERATIONS, f"for more than {lease.RENEW:g} s"),
        (OPERATIONS, f"{WORDS[routes.MAX_SCRAPES]} scrapes"),
        (OPERATIONS, PAUSES),
        (OPERATIONS, f"could not be started | every {action_results.RETRY_START.seconds} s"),
        (OPERATIONS, SLOW),
        (OPERATIONS, FREED),
        (ARCHITECTURE, KEPT),
        (LIMITS, f"{pod_protocol.PIECES} ConfigMaps of {kib(pod_protocol.MAX_PIECE_BYTES)}"),
        (LIMITS, f"a request, compressed | {kib(pod_protocol.MAX_REQUEST_BYTES)}"),
        (LIMITS, f"timeline | {snapshots.KEPT_SNAPSHOTS}, {snapshots.KEPT_RECORDS:,} |"),
        (LIMITS, f"note of an Event | {kube_events.NOTE_BYTES:,} bytes"),
        (LIMITS, f"of MLflow | up to {client_pool.CREDENTIAL_AGE.seconds} s"),
        (PROJECT_PAGE, f"may wait {minutes(job_manifest.START_GRACE_SECONDS)} min more"),
    ],
)
def test_numbers_on_the_pages_are_those_of_the_code(page: Path, words: str) -> None:
    assert words in read(page)


def test_the_reasons_that_no_retry_mends_are_those_of_the_code() -> None:
    (retried,) = (
        names_in(cells[0])
        for cells in rows(section(OPERATIONS, "## Retries and back-off"))
        if cells[1] == "not until something changes"
    )
    stalled = section(PROJECT_PAGE, "### `Stalled`")
    (stalling,) = re.findall(r"is not retried \(([^)]*)\)", stalled)

    assert set(retried) == TERMINAL_REASONS
    others = {"Blocked", "AdoptionWouldDelete", "RegistryEmpty", "RepoEmptied", "InvalidManifest"}
    assert set(names_in(stalling)) == TERMINAL_REASONS - others
    assert others <= set(names_in(stalled))


def test_the_globs_of_hosts_allow_what_the_page_says() -> None:
    documented = {
        glob: cells[1]
        for cells in rows(section(OPERATIONS, "### The configuration file"))
        if len(cells) == 2
        for glob in names_in(cells[0])
    }
    here, elsewhere = "https://git.example.org/r", "ssh://git@git.example.org:8443/r"

    assert documented.keys() == {
        "git.example.org",
        "git.example.org:8443",
        "git.example.org:*",
        "*.example.org",
        "*",
    }
    globs = {glob: HostGlob.parse(glob) for glob in documented}
    assert [glob for glob in documented if not globs[glob].allows(here)] == [
        "git.example.org:8443",
        "*",
    ]
    assert [glob for glob in documented if globs[glob].allows(elsewhere)] == [
        "git.example.org:8443",
        "git.example.org:*",
    ]
    for name in ("example.org", "a.b.example.org"):
        assert f"`{name}`" in documented["*.example.org"]
        assert not globs["*.example.org"].allows(f"https://{name}/r")


def test_what_to_do_when_speaks_of_reasons_where_they_show() -> None:
    found = [
        (names_in(cells[0])[0], names_in(cells[1]))
        for cells in rows(section(OPERATIONS, "### What to do when"))
    ]
    everywhere = {ProjectCondition.READY, ProjectCondition.STALLED}

    for reason, conditions in found:
        for condition in conditions:
            known = PROJECT_REASONS.get(ProjectCondition(condition), frozenset())
            assert reason in known or condition in everywhere or reason == "GuardUnavailable", (
                f"{reason} is no reason of {condition}"
            )
    assert len(found) >= 10
