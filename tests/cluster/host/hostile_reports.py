"""Reports that a hostile tenant writes in place of those of its jobs."""

import gzip
from typing import Any, Final

from tests.cluster.host.hostile import Forged, forged, patch_of, report_text

from feature_lineage.kube.api_client import Object
from feature_lineage.operations.pod_protocol import MANIFEST_KEY


def with_items(before: str, item: str, number: int, after: str) -> Forged:
    """A valid report with a field that has many items."""

    def text(job: str) -> bytes:
        items = (item + ",") * (number - 1) + item
        return f"{report_text(job)[:-1]},{before}{items}{after}}}".encode()

    return forged(text)


def manifest_of(text: str) -> Forged:
    """A report with this manifest."""
    return lambda _job: {"data": {MANIFEST_KEY: text}}


def claims(**manifest: Any) -> Forged:
    """A report whose manifest says this."""
    return lambda job: patch_of(job, gzip.compress(report_text(job).encode()), **manifest)


def not_gzip(job: str) -> Object:
    return patch_of(job, b"no gzip")


MILLION: Final = 1_000_000
TOO_LARGE: Final = ("ReportTooLarge", "MiB of memory")
HOSTILE_REPORTS: Final[dict[str, tuple[Forged, tuple[str, str]]]] = {
    "half-a-million-views": (
        with_items('"views":[', '{"name":"","kind":""}', MILLION // 2, "]"),
        TOO_LARGE,
    ),
    "views-that-are-none": (with_items('"views":[', "{}", 50_000, "]"), ("RunnerIncompatible", "")),
    "views-without-end": (
        with_items('"views":[', '{"name":"","kind":""}', 6000, "]"),
        ("RunnerIncompatible", "at most 5000 items"),
    ),
    "arrays": (with_items('"x":[', "[]", 3 * MILLION, "]"), TOO_LARGE),
    "objects": (with_items('"x":[', "{}", 3 * MILLION, "]"), TOO_LARGE),
    "warnings": (with_items('"warnings":[', '""', 2 * MILLION, "]"), TOO_LARGE),
    "nested": (
        forged(lambda job: f'{report_text(job)[:-1]},"x":{"[" * 99_999}'.encode()),
        ("ReportTooLarge", "nested deeper"),
    ),
    "a-gigabyte": (forged(lambda _: bytes(100 * MILLION)), ("ReportTooLarge", "more than")),
    "no-gzip": (not_gzip, ("JobFailed", "not gzip")),
    "of-another-job": (
        forged(lambda _: report_text("apply-1-another-1").encode()),
        ("JobFailed", "'apply-1-another-1''s"),
    ),
    "many-pieces": (claims(pieces=10**9), ("JobFailed", "claims 1000000000 pieces")),
    "wrong-digest": (claims(sha256="0" * 64), ("JobFailed", "sha256 of its manifest")),
    "a-manifest-of-arrays": (
        manifest_of("[" + "[]," * 200_000 + "[]]"),
        ("JobFailed", "manifest does not parse"),
    ),
    "a-long-name": (
        forged(lambda job: report_text(job, revision="x" * 500).replace("x" * 500, "x" * 5000)
               .encode()),
        ("RunnerIncompatible", "at most 1000 characters"),
    ),
}  # fmt: skip
"""Reports by the name of their project, and what the condition Applied of their author says."""
