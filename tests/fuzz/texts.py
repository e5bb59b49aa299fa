"""Short texts that tenants write: permissions, tags, times, addresses, file names."""

import re
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from tests.fuzz.harness import Target
from tests.fuzz.mutations import mangled
from tests.strategies import real_snapshot
from tests.unit.decide.build import NOW

from feature_lineage.api.annotations import PLACEHOLDER, override
from feature_lineage.api.base import GROUP
from feature_lineage.api.enums import OverrideKind
from feature_lineage.api.mlflow_spec import HttpUrl
from feature_lineage.api.schedules import Schedule
from feature_lineage.api.types import Duration, Quantity, Timestamp, format_timestamp
from feature_lineage.errors import InvalidManifest, TerminalError
from feature_lineage.features.refs import FeatureRef
from feature_lineage.kube.url_allowlist import Glob, HostGlob
from feature_lineage.models.baseline import recorded_baseline
from feature_lineage.models.facts import ModelVersion, TrainingRun
from feature_lineage.models.links import resolve_link
from feature_lineage.models.recorded import artifact_record, run_tag_record, version_tag_record
from feature_lineage.operations.plan import names_plan
from feature_lineage.operations.schedules import due, materialization
from feature_lineage.sources.config_map_source import _named, _write
from feature_lineage.sources.tree import files_revision
from feature_lineage.tracking import MLflowServer
from feature_lineage.tracking.http import Http

SMALL: Final = 256 * 1024
"""Bytes: the API server keeps no longer annotations."""


def texts(*seeds: str, most: int = SMALL) -> st.SearchStrategy[str]:
    """Texts as an API server sends them, near these."""
    encoded = st.sampled_from([seed.encode() for seed in seeds])
    return mangled(encoded, most).map(lambda text: text.decode(errors="replace"))


# Permissions


def read_annotation(given: tuple[OverrideKind, str]) -> None:
    kind, text = given
    found = override({f"{GROUP}/{kind}": text}, kind)
    assert found is not None
    assert found.why.strip()
    assert found.why != PLACEHOLDER
    names_plan(found.plan_digest, "d" * 64)
    if kind is not OverrideKind.ALLOW_DELETE:
        written = {f"{GROUP}/{kind}": f"{found.plan_digest}: {found.why}"}
        assert override(written, kind) == found


ANNOTATIONS: Final = Target(
    "annotations",
    st.tuples(
        st.sampled_from(OverrideKind),
        texts("d" * 12 + ": agreed with ranking", "d: <why>", ": : :", "a:" * 100, "d:" + " " * 99),
    ),
    read_annotation,
    (InvalidManifest,),
)


# Tags of MLflow

REFS: Final = "stats:conv_rate,stats@v2:trips,größe:x,a@latest:b"
KEYS: Final = (
    *("feast.project", "feast.feature_refs", "feast.feature_count", "feast.feature_service"),
    *("feast.feature_views", "featurelineage.io/registry-digest", "featurelineage.io/verdict"),
    *("featurelineage.io/declared-service", "featurelineage.io/baseline-from"),
)
tags = st.dictionaries(
    st.sampled_from(KEYS),
    texts(REFS, "3", "activity", "driver_ranking", "a" * 64, "a" * 4987 + "...", "true"),
    max_size=4,
)
REGISTRY: Final = real_snapshot()


@dataclass(frozen=True)
class Tagged:
    """The tags of a version and of its run, and the run's artifact."""

    version: dict[str, str]
    run: dict[str, str]
    artifact: tuple[str, ...] | None


def read_tags(given: Tagged) -> None:
    version = ModelVersion("m", "1", NOW, run_id="r", tags=given.version)
    run = TrainingRun("r", NOW, tags=given.run, features_artifact=given.artifact)
    for registry in (None, REGISTRY):
        link = resolve_link(version, run, registry, "activity")
        assert not link.complete or link.refs
        for ref in link.refs:
            assert FeatureRef.parse(str(ref)) == ref
    for record in (run_tag_record(run), artifact_record(run, 3), version_tag_record(version, 3)):
        assert len(str(record)) < 1000
    recorded_baseline(given.version)


TAGS: Final = Target(
    "tags",
    st.builds(Tagged, tags, tags, st.none() | st.lists(texts(REFS, "a:b"), max_size=3).map(tuple)),
    read_tags,
    (),
)


# Schedules


@dataclass(frozen=True)
class Tick:
    """A schedule, and the times at which it is looked at."""

    cron: str
    zone: str
    last: datetime | None
    since: datetime
    now: datetime


moments = st.integers(0, 4 * 10**9).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
schedules = st.builds(
    Tick,
    texts("5 * * * *", "0 3 1 * *", "*/7 1-4,9 29 2 *", "0 0 31 4,6 MON", "0 0 30 2 *", most=200),
    texts("UTC", "Europe/Berlin", "../../etc/passwd", "Europe", "zone.tab", "Asia/Gaza", most=100)
    | st.sampled_from(("UTC", "Europe/Dublin", "America/St_Johns", "Africa/Casablanca")),
    st.none() | moments,
    moments,
    moments,
)


def read_schedule(given: Tick) -> None:
    fields = {"name": "s", "cron": given.cron, "timeZone": given.zone, "incremental": {}}
    schedule = Schedule.model_validate(fields)
    found = due(schedule, last=given.last, since=given.since, now=given.now)
    assert found.next is not None
    assert found.next > given.now
    assert 0 <= found.missed <= 100
    if found.tick is not None:
        assert found.tick <= given.now
        materialization(schedule, found.tick, now=given.now)
    assert Schedule.model_validate(schedule.model_dump(by_alias=True)) == schedule


SCHEDULES: Final = Target(
    "schedules", schedules, read_schedule, (InvalidManifest, ValidationError), examples=60
)


# Durations, quantities, timestamps

ADAPTERS: Final[tuple[TypeAdapter[Any], ...]] = tuple(
    TypeAdapter(each) for each in (Duration, Quantity, Timestamp, HttpUrl)
)


def read_scalar(given: tuple[int, str]) -> None:
    number, text = given
    value = ADAPTERS[number].validate_python(text)
    match value:
        case Duration():
            assert str(value) == text
            assert timedelta() <= value < timedelta(days=400_000)
            assert NOW - value / 1000 < NOW + value / 1000 or not value
        case datetime():
            again = ADAPTERS[number].validate_python(format_timestamp(value))
            assert again == value
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", format_timestamp(value))
        case _:
            assert value == text


SCALARS: Final = Target(
    "scalars",
    st.tuples(
        st.integers(0, len(ADAPTERS) - 1),
        texts(
            *("90s", "1h30m", "99999d", "500m", "2Gi", "1e3", "2026-07-01T00:00:00Z"),
            *("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "http://h:5000/p"),
        ),
    ),
    read_scalar,
    (ValidationError,),
)


# Addresses, and the lists that allow them


def read_address(given: tuple[str, str]) -> None:
    pattern, url = given
    for kind in (Glob, HostGlob):
        try:
            glob = kind.parse(pattern)
        except ValueError:
            continue
        if glob.allows(url) and "*" not in pattern:
            # What the check reads as the host is the host for every other parser.
            assert urlsplit(url).hostname == httpx.URL(url).host.lower() or "[" in url
            assert "".join(glob.host) == "".join((urlsplit(url).hostname or "").split(".")) or (
                "[" in url
            )
    server = MLflowServer(url)
    if server.tracking_uri.startswith("http:"):  # the certificates for https take 20 ms
        Http(server, now=lambda: NOW)
    assert MLflowServer(server.tracking_uri) == server


ADDRESSES: Final = Target(
    "addresses",
    st.tuples(
        texts("https://*.example.org/ml", "http://mlflow.ml:5000", "git.example:22", "[::1]:80"),
        texts(
            *("https://a.example.org/ml", "http://mlflow.ml:5000", "ssh://git@git.example:22/r"),
            *("http://[::1]:80/", "http://0x7f.1/", "http://münchen.example/", "https://a\\@b/"),
            most=2048,
        ),
    ),
    read_address,
    (InvalidManifest,),
)


# ConfigMap sources

file_names = st.one_of(
    texts("feature_store.yaml", "a__b.py", "a____b.py", "..__x", "__etc__x", "a", "a__", most=253),
    st.text("ab_.-", min_size=1, max_size=12),
)


def read_config_map(given: dict[str, bytes]) -> None:
    files = _named(given)
    revision = files_revision(files)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "repo"
        for _ in range(2):
            _write(files, revision, home)
        assert [path.name for path in Path(folder).iterdir()] == ["repo"], "a file outside"
        for name, content in files.items():
            assert (home / name).read_bytes() == content, f"{name!r} is another file"


CONFIG_MAPS: Final = Target(
    "config-maps",
    st.dictionaries(file_names, st.sampled_from((b"", b"x = 1\n", b"\xff\x00")), max_size=5),
    read_config_map,
    (TerminalError,),
)

TARGETS: Final = (ANNOTATIONS, TAGS, SCHEDULES, SCALARS, ADDRESSES, CONFIG_MAPS)
