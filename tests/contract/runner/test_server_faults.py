"""A feature server is a stranger: what it may answer, and what then is said."""

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from feast.feature_server_utils import convert_response_to_dict
from feast.protos.feast.serving.ServingService_pb2 import FeatureList, GetOnlineFeaturesResponse
from feast.type_map import python_values_to_proto_values
from feast.value_type import ValueType
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.cluster.pki import Authority
from tests.servers.feature_server import Answer, Seen, faulty_server

from feature_lineage.operations.feature_server import ServerAnswer, ServerCause
from feature_lineage.operations.serving import Question
from feature_lineage.reasons import Reason
from feature_lineage.runner import feature_server
from feature_lineage.runner.feature_server import FeatureServer
from feature_lineage.runner.probe_rows import Rows
from feature_lineage.runner.request_context import RequestContext
from feature_lineage.runner.retrieval import Retrieval

UNAVAILABLE, REFUSED = ServerCause.UNAVAILABLE, ServerCause.REFUSED


def response(values: list[Any], kind: ValueType = ValueType.INT64) -> GetOnlineFeaturesResponse:
    found = GetOnlineFeaturesResponse()
    found.metadata.feature_names.CopyFrom(FeatureList(val=["plus"]))
    vector = found.results.add()
    vector.values.extend(python_values_to_proto_values(values, kind))
    vector.statuses.extend([1] * len(values))
    return found


def retrieval(of: GetOnlineFeaturesResponse) -> Retrieval:
    """A retrieval of one column that Feast in the job has answered so."""
    rows: list[dict[str, Any]] = [{"driver_id": n} for n in range(len(of.results[0].values))]
    context = RequestContext((), {}, {}, frozenset({"plus"}), full=True)
    return Retrieval(["sums:plus"], context, Rows(rows, ()), {"plus": of.results[0]})


RIGHT = json.dumps(convert_response_to_dict(response([1, 2, 3]))).encode()


def answering(status: int, content: bytes, **headers: str) -> Callable[[Seen], Answer]:
    """A healthy server with one answer for every retrieval."""

    def answer(seen: Seen) -> Answer:
        if seen.line == "GET /health":
            return 200, b"", {}
        return (status, content, headers) if seen.line.startswith("POST") else (404, b"", {})

    return answer


def ask(url: str, of: GetOnlineFeaturesResponse | None = None) -> ServerAnswer:
    found = retrieval(of if of is not None else response([1, 2, 3]))
    question = Question("", ("sums:plus",))
    return FeatureServer(url).ask(question, found, lambda again: again.columns)


def said(content: bytes, status: int = 200, **headers: str) -> ServerAnswer:
    with faulty_server(answering(status, content, **headers)) as server:
        return ask(server.url)


def test_what_is_sent() -> None:
    """No credential, no cookie, and the path of the address before that of Feast."""
    with faulty_server(lambda seen: (200, RIGHT, {"Set-Cookie": "a=b"})) as server:
        found = ask(f"{server.url}/features/")

    assert (found.cause, found.healthy, found.compared, found.differing) == (None, True, 3, 0)
    lines = [seen.line for seen in server.seen]
    assert lines[0] == "GET /features/health"
    assert lines[-1] == "POST /features/get-online-features"
    assert json.loads(server.seen[-1].body) == {
        "features": ["sums:plus"],
        "entities": {"driver_id": [0, 1, 2]},
        "full_feature_names": True,
    }
    sent = {name.lower() for seen in server.seen for name in seen.headers}
    assert sent <= {"host", "accept", "accept-encoding", "content-type", "content-length"}


def test_a_credential_of_the_environment_is_not_sent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret")
    monkeypatch.setenv("NETRC", str(netrc))
    with faulty_server(answering(200, RIGHT)) as proxy, faulty_server(answering(200, RIGHT)) as it:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert ask(it.url).compared == 3
    assert proxy.seen == []
    assert {name for seen in it.seen for name in seen.headers if "uth" in name} == set()


def test_a_certificate_is_checked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By the authorities of the image, or those of SSL_CERT_FILE."""
    authority = Authority()
    issued = authority.issue("features", addresses=("127.0.0.1",))
    pair, trusted = tmp_path / "tls.pem", tmp_path / "ca.crt"
    pair.write_bytes(issued.certificate + issued.key)
    trusted.write_bytes(authority.certificate)
    with faulty_server(answering(200, RIGHT), pair) as server:
        stranger = ask(server.url)
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        known = ask(server.url)

    assert stranger.cause is UNAVAILABLE
    assert "CERTIFICATE_VERIFY_FAILED" in stranger.error
    assert (known.cause, known.compared) == (None, 3)


@pytest.mark.parametrize(
    ("status", "content", "cause", "words"),
    [
        (401, b'{"detail":"no"}', UNAVAILABLE, "the probe sends no credential"),
        (403, b'"no"', UNAVAILABLE, "403 no (the probe sends no credential)"),
        (404, b'{"detail":"Not Found"}', UNAVAILABLE, "404"),
        (422, b'{"detail":[{"input":4711}]}', UNAVAILABLE, "422"),
        (502, b"<html>bad gateway</html>", UNAVAILABLE, "502"),
        (503, b"", UNAVAILABLE, "503"),
        (200, b"<html>hello</html>", UNAVAILABLE, "is not the answer of a feature server"),
        (200, b"[]", UNAVAILABLE, "is not the answer of a feature server"),
        (
            200,
            b'{"metadata": {"feature_names": [1]}, "results": []}',
            UNAVAILABLE,
            "not the answer of a",
        ),
        (200, RIGHT.replace(b"[1, 2, 3]", b"[1, 2]"), UNAVAILABLE, "one value for each of 3"),
        (200, b"[" * 100_000, UNAVAILABLE, "nested deeper"),
        (200, b"[" + b"0," * 900_000 + b"0]", UNAVAILABLE, "lower spec.probe.keys"),
        (500, b"\"'Feature plus not found in projection sums'\"", REFUSED, "not found in proj"),
        (500, b'"user 4711 has no rate"', REFUSED, "text is not shown"),
    ],
)
def test_what_an_answer_proves(status: int, content: bytes, cause: ServerCause, words: str) -> None:
    found = said(content, status)

    assert found.cause is cause, found
    assert words in found.error
    assert "4711" not in found.error
    assert found.finding is (Reason.SERVING_FAILS if cause is REFUSED else Reason.PROBE_UNAVAILABLE)


def test_the_words_of_a_server_are_bounded_and_printable() -> None:
    error = {"module": "feast.errors", "class": "X\x1b[31m", "message": "\u202e\n" + "b" * 90_000}
    found = said(json.dumps(json.dumps(error)[:60_000]).encode(), 500)
    assert len(found.error) <= 300
    short = {**error, "message": "\u202e\nno"}
    found = said(json.dumps(json.dumps(short)).encode(), 500)
    assert found.error == "500 X\\x1b[31m: \\u202e\\nno"


def test_a_redirect_is_not_followed() -> None:
    with faulty_server(answering(200, RIGHT)) as there:
        found = said(b"", 307, Location=f"{there.url}/get-online-features")
    assert found.cause is UNAVAILABLE
    assert "307" in found.error
    assert there.seen == []


def test_an_answer_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_server, "MAX_BYTES", 2**20)
    found = said(RIGHT + b" " * 2**20)
    assert found.cause is UNAVAILABLE
    assert "answers more than 1 MiB; lower spec.probe.keys" in found.error


def hanging(never: threading.Event) -> Callable[[Seen], Answer]:
    def answer(seen: Seen) -> Answer:
        if seen.line.startswith("POST"):
            never.wait()
        return 200, b"", {}

    return answer


def test_a_slow_server_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """After two requests without an answer, the others are not sent."""
    monkeypatch.setattr(feature_server, "MAX_SECONDS", 0.3)
    never, found = threading.Event(), retrieval(response([1, 2, 3]))
    with faulty_server(hanging(never)) as server:
        asked = FeatureServer(server.url)
        answers = [
            asked.ask(Question(str(n)), found, lambda again: again.columns) for n in range(5)
        ]
        never.set()

    assert {each.cause for each in answers} == {UNAVAILABLE}
    assert answers[-1].healthy is True
    assert sum(seen.line.startswith("POST") for seen in server.seen) == 2


def test_one_answer_that_is_too_large_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_server, "MAX_BYTES", 2**16)
    large = iter([b" " * 2**17] * 3)

    def answer(seen: Seen) -> Answer:
        return 200, next(large, RIGHT) if seen.line.startswith("POST") else b"", {}

    found = retrieval(response([1, 2, 3]))
    with faulty_server(answer) as server:
        asked = FeatureServer(server.url)
        answers = [
            asked.ask(Question(str(n)), found, lambda again: again.columns) for n in range(4)
        ]
    assert [each.cause for each in answers] == [UNAVAILABLE] * 3 + [None]


def test_the_time_of_all_answers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_server, "MAX_TOTAL_SECONDS", 0.0)
    with faulty_server(answering(200, RIGHT)) as server:
        found = ask(server.url)
    assert found.cause is UNAVAILABLE
    assert server.seen == []


@pytest.mark.parametrize(
    ("status", "healthy", "finding"),
    [(200, True, None), (503, False, Reason.PROBE_UNAVAILABLE), (404, None, None)],
)
def test_what_health_says(status: int, healthy: bool | None, finding: Reason | None) -> None:
    def answer(seen: Seen) -> Answer:
        return (status, b"", {}) if seen.line == "GET /health" else (200, RIGHT, {})

    with faulty_server(answer) as server:
        found = ask(server.url)
    assert (found.healthy, found.finding) == (healthy, finding)


@pytest.mark.parametrize(
    ("paths", "version"),
    [
        ({"/health": {}, "/a\x1b": {}}, "not named; the API is not that of Feast 0.67.0: it lacks"),
        ({"/a\x1b": {}}, "and has /a\\x1b"),
        ({}, "not known: the server does not describe its API"),
        ([], "not known: the server does not describe its API"),
    ],
)
def test_the_api_tells_another_version(paths: Any, version: str) -> None:
    def answer(seen: Seen) -> Answer:
        described = json.dumps({"paths": paths}).encode()
        return (200, described if seen.line == "GET /openapi.json" else RIGHT, {})

    with faulty_server(answer) as server:
        found = ask(server.url)
    assert version in found.version
    assert found.finding is None


VALUES: tuple[tuple[list[Any], ValueType], ...] = (
    ([2**60, 0, None], ValueType.INT64),
    ([0.1, float("inf"), float("-inf"), float("nan"), None], ValueType.DOUBLE),
    ([0.1, 1e-30, 3.4e38, None], ValueType.FLOAT),
    ([True, False, None], ValueType.BOOL),
    (["", "NaN", "\u00e9", None], ValueType.STRING),
    ([b"", b"\xff\x00", None], ValueType.BYTES),
    ([1_700_000_000, None], ValueType.UNIX_TIMESTAMP),
    ([[1, 2], [], None], ValueType.INT64_LIST),
    ([[0.1, float("nan")], [], None], ValueType.FLOAT_LIST),
    ([[b"\x00"], None], ValueType.BYTES_LIST),
    ([["a", ""], None], ValueType.STRING_LIST),
)


@pytest.mark.parametrize(("values", "kind"), VALUES, ids=[str(kind) for _, kind in VALUES])
def test_json_is_no_difference(values: list[Any], kind: ValueType) -> None:
    """What Feast's server writes for a value is that value, and another value is not."""
    of = response(values, kind)
    with faulty_server(lambda seen: (200, body, {})) as server:
        body = json.dumps(convert_response_to_dict(of)).encode()
        same = ask(server.url, of)
        turned = response([*values[1:], values[0]], kind)
        body = json.dumps(convert_response_to_dict(turned)).encode()
        other = ask(server.url, of)

    assert (same.error, same.compared, same.differing) == ("", len(values), 0)
    assert other.differing > 0


@pytest.mark.parametrize(
    ("values", "kind", "found", "differing"),
    [
        ([float("inf"), 1.0], ValueType.DOUBLE, [None, 1.0], 0),
        ([float("inf"), 1.0], ValueType.DOUBLE, [1.0, None], 2),
        ([[float("-inf"), 1.0], [1.0]], ValueType.FLOAT_LIST, [[None, 1.0], [None]], 1),
        ([float("nan"), 1.0], ValueType.DOUBLE, [None, 1.0], 0),
    ],
)
def test_null_for_infinity_is_no_difference(
    values: list[Any], kind: ValueType, found: list[Any], differing: int
) -> None:
    """Feast 0.58 writes null for what JSON has no number for."""
    of = response(values, kind)
    said = convert_response_to_dict(of)
    said["results"][0]["values"] = found
    with faulty_server(lambda seen: (200, json.dumps(said).encode(), {})) as server:
        assert ask(server.url, of).differing == differing


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=12,
)
NAMES = JSON | st.sampled_from(["plus", "driver_id"])


@st.composite
def exchanges(draw: st.DrawFn) -> tuple[GetOnlineFeaturesResponse, Any]:
    """What Feast in the job answers, and an answer of a server with nearly the right form."""
    values, kind = draw(st.sampled_from(VALUES))
    columns = st.tuples(NAMES, st.lists(JSON, min_size=len(values), max_size=len(values)))
    names, vectors = [], []
    for name, found in draw(st.lists(columns, max_size=3)):
        names.append(name)
        vectors.append({"values": found})
    right = {"metadata": {"feature_names": names}, "results": vectors}
    return response(values, kind), draw(st.just(right) | JSON)


@given(exchanges(), st.sampled_from([200, 200, 500, 404, 302]))
@settings(deadline=None, derandomize=True, max_examples=200)
def test_any_json_is_an_answer(exchange: Any, status: int) -> None:
    """Whatever JSON a server answers, the report has something to say about it."""
    own, value = exchange

    class Answering(FeatureServer):
        def _request(self, *_: Any) -> tuple[int, bytes]:
            return status, json.dumps(value).encode()

    found = Answering("http://x").ask(Question("s"), retrieval(own), lambda again: again.columns)
    assert ServerAnswer.model_validate_json(found.model_dump_json()) == found
    assert found.cause is not None or status == 200


def test_a_value_that_changes_is_no_difference() -> None:
    """Feast in the job answers another value after the server than before it."""
    found = retrieval(response([1, 2, 4]))
    with faulty_server(answering(200, RIGHT)) as server:
        asked = FeatureServer(server.url)
        later = {"plus": response([1, 2, 3]).results[0]}
        changed = asked.ask(Question("s"), found, lambda _: later)
        failed = asked.ask(Question("s"), found, lambda _: {})
        stays = asked.ask(Question("s"), found, lambda again: again.columns)

    assert (changed.compared, changed.differing) == (2, 0)
    assert failed.differing == 0
    assert (stays.compared, stays.differing, stays.absent) == (3, 1, 0)
    assert stays.finding is Reason.SERVER_DIFFERS


def asked_with(value: Any, **data: ValueType) -> Retrieval:
    """A retrieval of one row with this value of x, which is a key if it is not request data."""
    context = RequestContext((), {}, data, frozenset({"plus"}), full=True)
    return Retrieval(["sums:plus"], context, Rows([{"x": value}], ()), {"plus": ONE.results[0]})


ONE = response([1])
MOMENT = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (MOMENT, ValueType.UNIX_TIMESTAMP),
        ([MOMENT], ValueType.UNIX_TIMESTAMP_LIST),
        (b"x", ValueType.BYTES),
        (UUID(int=7), ValueType.UUID),
        (float("nan"), ValueType.DOUBLE),
    ],
)
def test_request_data_that_json_changes_is_not_sent(value: Any, kind: ValueType) -> None:
    """The server would compute with another type than Feast in the job."""
    with faulty_server(answering(200, RIGHT)) as server:
        asked = FeatureServer(server.url)
        found = asked.ask(Question("s"), asked_with(value, x=kind), lambda again: again.columns)

    assert server.seen == []
    assert (found.cause, found.finding, found.healthy) == (ServerCause.UNASKABLE, None, None)
    assert "JSON cannot hold the value of x with its type" in found.error


def test_a_time_that_is_a_key_is_sent_as_seconds() -> None:
    """The server knows the type of the key."""
    body = json.dumps(convert_response_to_dict(ONE)).encode()
    with faulty_server(answering(200, body)) as server:
        asked = FeatureServer(server.url)
        found = asked.ask(Question("s"), asked_with(MOMENT), lambda again: again.columns)

    assert (found.cause, found.compared) == (None, 1)
    assert json.loads(server.seen[-1].body)["entities"] == {"x": [int(MOMENT.timestamp())]}


def test_a_surprise_in_one_answer_stops_no_other() -> None:
    """Feast in the job answers more values than rows."""
    more, right = response([1, 2, 3, 4]).results[0], retrieval(response([1, 2, 3]))
    odd = Retrieval(right.features, right.context, right.asked, {"plus": more})
    with faulty_server(answering(200, RIGHT)) as server:
        asked = FeatureServer(server.url)
        first, second = (
            asked.ask(Question("s"), each, lambda again: again.columns) for each in (odd, right)
        )

    assert (first.cause, first.error) == (
        UNAVAILABLE,
        "IndexError while the job compared its answer",
    )
    assert (second.cause, second.compared) == (None, 3)


def test_an_image_without_sources_of_feast(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacks(_: Any) -> str:
        raise OSError("could not get source code")

    monkeypatch.setattr(feature_server.inspect, "getsource", lacks)
    described = json.dumps({"paths": {"/health": {}}}).encode()

    def answer(seen: Seen) -> Answer:
        return 200, described if seen.line == "GET /openapi.json" else RIGHT, {}

    with faulty_server(answer) as server:
        found = ask(server.url)
    assert found.version == "not known: the runner's image lacks the sources of Feast 0.67.0"
    assert (found.cause, found.compared) == (None, 3)
