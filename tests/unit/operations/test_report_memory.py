"""A report costs the operator a bounded amount of memory, whatever a job writes into it."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.unit.operations.build import registry, view

from feature_lineage.api.enums import OperationKind
from feature_lineage.errors import InvalidReport
from feature_lineage.operations.job_report import (
    MAX_NUMBERS,
    MAX_REPORT_PARSE_BYTES,
    MAX_VIEWS,
    JobReport,
    Outcome,
    ViewReport,
    decode_report,
)
from feature_lineage.operations.protocol import encode
from feature_lineage.untrusted import parse_bytes

MEASURED_MIB = 64
HEAD = encode(
    JobReport(
        operation_id="apply-1-x-1",
        kind=OperationKind.APPLY,
        project="p",
        outcome=Outcome.SUCCEEDED,
        started_at=datetime(2026, 11, 20, tzinfo=UTC),
        finished_at=datetime(2026, 11, 20, tzinfo=UTC),
    )
)[:-1].encode()
PLAN = b'"plan":{"digest":"","verdict":"Clean",'

# Before an item, the item, after the last one.
HOSTILE = {
    "views": (b'"views":[', b'{"name":"","kind":""}', b"]"),
    "views that do not validate": (b'"views":[', b"{}", b"]"),
    "arrays in an unknown field": (b'"x":[', b"[]", b"]"),
    "objects in an unknown field": (b'"x":[', b'{"a":0}', b"]"),
    "warnings": (b'"warnings":[', b'""', b"]"),
    "warnings that do not validate": (b'"warnings":[', b"0", b"]"),
    "numbers that do not validate": (b'"counts":{', b'"%d":""', b"}"),
    "changes": (PLAN + b'"changes":[', b'{"kind":"","name":"","change":"Created"}', b"]}"),
    "changes that do not validate": (PLAN + b'"changes":[', b"{}", b"]}"),
    "impacts that do not validate": (PLAN + b'"impacts":[', b'{"problems":[{}]}', b"]}"),
    "a snapshot": (b'"snapshot":{"project":"p","objects":{"entity":{"a":{"x":[', b"[]", b"]}}}}"),
}

MEASURE = """
import resource, sys
from feature_lineage.errors import InvalidReport
from feature_lineage.operations.job_report import decode_report
text = sys.stdin.buffer.read()
decode_report(sys.argv[1].encode())
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
try:
    decode_report(text)
except InvalidReport as error:
    print(error, file=sys.stderr)
print((peak() - before) // 1024)
"""


def hostile(name: str) -> bytes:
    """The largest report of that kind that is parsed."""
    before, item, after = HOSTILE[name]
    items = (MAX_REPORT_PARSE_BYTES - parse_bytes(HEAD + before + after)) // (
        parse_bytes(item * 100 + b"," * 100) // 100
    )
    written = (item % i if b"%d" in item else item for i in range(items - 1))
    return HEAD + b"," + before + b",".join(written) + after + b"}"


@pytest.mark.parametrize("name", HOSTILE)
def test_the_largest_hostile_report_takes_bounded_memory(name: str) -> None:
    text = hostile(name)
    assert 0.8 * MAX_REPORT_PARSE_BYTES < parse_bytes(text) <= MAX_REPORT_PARSE_BYTES

    command = [sys.executable, "-c", MEASURE, HEAD.decode() + "}"]
    done = subprocess.run(command, input=text, capture_output=True, check=True)

    assert int(done.stdout) <= MEASURED_MIB, done.stderr[-500:]


@pytest.mark.parametrize(
    "part",
    [
        pytest.param({"revision": "x" * 1001}, id="a long name"),
        pytest.param({"views": [{"name": "v", "kind": "k"}] * (MAX_VIEWS + 1)}, id="many views"),
        pytest.param({"counts": {str(n): n for n in range(MAX_NUMBERS + 1)}}, id="many counts"),
        pytest.param({"seconds": {str(n): n for n in range(MAX_NUMBERS + 1)}}, id="many seconds"),
    ],
)
def test_a_report_with_too_much_in_one_place_is_refused(part: dict[str, Any]) -> None:
    text = json.dumps({**json.loads(HEAD + b"}"), **part}).encode()

    with pytest.raises(InvalidReport, match=f"does not parse: {next(iter(part))}: .* at most"):
        decode_report(text)


def test_a_report_of_five_thousand_features_in_seven_hundred_views_is_read() -> None:
    features = {f"feature_with_a_long_name_{number}": "FLOAT" for number in range(8)}
    views = {f"view_{number}": view(features) for number in range(700)}
    made = JobReport.model_validate(
        {
            **decode_report(HEAD + b"}").model_dump(),
            "snapshot": registry(views),
            "views": [
                ViewReport(name=name, kind="feature_view", result="Succeeded", error="x" * 500)
                for name in views
            ],
        }
    )
    text = encode(made).encode()

    assert decode_report(text) == made
    assert parse_bytes(text) < MAX_REPORT_PARSE_BYTES / 2
    assert len(views) < MAX_VIEWS
