"""The addresses that a glob allows; no spelling of another host is allowed."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_lineage.kube.url_allowlist import Glob, HostGlob

TENANTS = "https://mlflow.*.example.org"


@pytest.mark.parametrize(
    ("glob", "uri"),
    [
        ("http://mlflow.ml:5000", "http://mlflow.ml:5000"),
        ("http://mlflow.ml:5000/", "http://mlflow.ml:5000"),
        ("http://mlflow.ml:5000", "http://mlflow.ml:5000/"),
        ("HTTP://MLflow.ml:5000", "http://mlflow.ml:5000"),
        ("http://mlflow.ml:5000", "http://MLFLOW.ml:5000"),
        ("https://mlflow.example.org", "https://mlflow.example.org:443"),
        ("http://mlflow.example.org:80", "http://mlflow.example.org"),
        (TENANTS, "https://mlflow.team-a.example.org"),
        ("https://mlflow*.example.org", "https://mlflow.example.org"),
        ("https://mlflow*.example.org", "https://mlflow-2.example.org"),
        ("http://*.*.svc:5000", "http://mlflow.ml.svc:5000"),
        ("http://mlflow.ml:*", "http://mlflow.ml:5000"),
        ("http://mlflow.ml:*", "http://mlflow.ml"),
        ("https://gw.example.org/mlflow", "https://gw.example.org/mlflow"),
        ("https://gw.example.org/mlflow/", "https://gw.example.org/mlflow"),
        ("https://gw.example.org/team-*/mlflow", "https://gw.example.org/team-a/mlflow"),
        ("http://10.0.0.*:5000", "http://10.0.0.7:5000"),
        ("http://[::1]:5000", "http://[::1]:5000"),
        ("http://[fd00::A]:5000", "http://[fd00:0:0:0:0:0:0:a]:5000"),
    ],
)
def test_a_glob_allows(glob: str, uri: str):
    assert Glob.parse(glob).allows(uri)


@pytest.mark.parametrize(
    ("glob", "uri"),
    [
        (TENANTS, "https://mlflow.evil.com/a.example.org"),
        (TENANTS, "https://mlflow.evil.com/.example.org"),
        (TENANTS, "https://mlflow.evil.com:443/a.example.org"),
        (TENANTS, "https://mlflow.evil.com?.example.org"),
        (TENANTS, "https://mlflow.evil.com#.example.org"),
        (TENANTS, "https://mlflow.evil.com\\.example.org"),
        (TENANTS, "https://mlflow.evil.com%2f.example.org"),
        (TENANTS, "https://mlflow.evil.com\n.example.org"),
        (TENANTS, "https://mlflow.a@evil.com/.example.org"),
        (TENANTS, "https://mlflow.user:password@x.example.org"),
        (TENANTS, "https://user:password@mlflow.a.example.org"),
        (TENANTS, "https://mlflow.team.example.org@evil.com"),
        (TENANTS, "https://mlflow.a.b.example.org"),
        (TENANTS, "https://mlflow..example.org"),
        (TENANTS, "https://mlflow.*.example.org"),
        (TENANTS, "https://mlflow.a.example.org."),
        (TENANTS, "https://mlflow.a.example.org.evil.com"),
        (TENANTS, "https://mlflow.a.example.org:8443"),
        (TENANTS, "https://mlflow.a.example.org:"),
        (TENANTS, "https://mlflow.a.example.org/elsewhere"),
        (TENANTS, "http://mlflow.a.example.org"),
        ("https://mlflow.ml:5000", "http://mlflow.ml:5000"),
        (TENANTS, "https://mlflow.a.example\N{FULLWIDTH FULL STOP}org"),
        (TENANTS, ""),
        ("https://k8s.example.org", "https://\N{KELVIN SIGN}8s.example.org"),
        ("http://mlflow.ml:5000", "http://mlflow.ml:5000.evil.example"),
        ("http://mlflow.ml:5000", "http://mlflow.ml:50001"),
        ("http://mlflow.ml:*", "http://mlflow.ml:5000@evil.com"),
        ("https://gw.example.org/mlflow", "https://gw.example.org"),
        ("https://gw.example.org/mlflow", "https://gw.example.org/MLflow"),
        ("https://gw.example.org/mlflow", "https://gw.example.org/mlflow/more"),
        ("https://gw.example.org/mlflow", "https://gw.example.org//mlflow"),
        ("https://gw.example.org/mlflow", "https://gw.example.org/mlflow/../admin"),
        ("https://gw.example.org/mlflow/*", "https://gw.example.org/mlflow/.."),
        ("https://gw.example.org/mlflow/*", "https://gw.example.org/mlflow/%2e%2e"),
        ("https://gw.example.org/mlflow/*", "https://gw.example.org/mlflow/a%2f..%2fadmin"),
        ("https://gw.example.org/*", "https://gw.example.org/a/b"),
        ("https://gw.example.org/*", "https://gw.example.org"),
        ("http://*:5000", "http://2130706433:5000"),
        ("http://*:5000", "http://0x7f000001:5000"),
        ("http://*:5000", "http://[::1]:5000"),
        ("http://*.*:5000", "http://127.1:5000"),
        ("http://10.0.0.*:5000", "http://10.0.0.7.8:5000"),
        ("http://[::1]:5000", "http://[::2]:5000"),
        ("http://[::1]:5000", "http://[::1%25eth0]:5000"),
    ],
)
def test_a_glob_does_not_allow(glob: str, uri: str):
    assert not Glob.parse(glob).allows(uri)


@pytest.mark.parametrize(
    "glob",
    [
        "",
        "*",
        "mlflow.example.org",
        "*://mlflow.example.org",
        "ftp://mlflow.example.org",
        "https://",
        "https://user:password@mlflow.example.org",
        "https://*@mlflow.example.org",
        "https://mlflow.example.org?a=*",
        "https://mlflow.example.org#x",
        "https://mlflow.example.org/a?b",
        "https://mlflow.example.org/a#b",
        "https://mlflow.example.org/a@b",
        "https://mlflow.example.org/a\\b",
        "https://mlflow..example.org",
        "https://mlflow.example.org:",
        "https://mlflow.example.org:50*",
        "https://mlflow.example.org:0",
        "https://mlflow.example.org:70000",
        "https://mlflow.[a-c].example.org",
        "https://mlflow.example.org//a",
        "https://mlflow.example.org/a/../b",
        "http://[::*]:5000",
        "http://[1.2.3.4]:5000",
        "http://999.0.0.1:5000",
        " https://mlflow.example.org",
    ],
)
def test_a_malformed_glob_is_refused_by_name(glob: str):
    with pytest.raises(ValueError, match=re.escape(f'"{glob}"')):
        Glob.parse(glob)


@given(st.text(max_size=40))
def test_star_never_leaves_the_domain(inside: str):
    uri = f"https://mlflow.{inside}.example.org"

    assert Glob.parse(TENANTS).allows(uri) is bool(re.fullmatch("[A-Za-z0-9_-]+", inside))


@given(st.text(alphabet="abc.*/:@?#[]%\\-0 ", max_size=30))
def test_any_text_is_matched_without_an_exception(rest: str):
    allowed = Glob.parse("https://a.*").allows(f"https://{rest}")

    if allowed:
        assert re.fullmatch(r"a\.[abc0-]+/?|a\.[abc0-]+:443/?", rest)


@pytest.mark.parametrize(
    ("glob", "url"),
    [
        ("git.example.org", "https://git.example.org/ml/repo.git"),
        ("git.example.org", "https://GIT.example.org:443/ml/repo"),
        ("git.example.org", "ssh://git@git.example.org/ml/repo"),
        ("git.example.org", "ssh://git@git.example.org:22/~ml/repo%20x"),
        ("*.example.org", "https://git.example.org/ml/repo"),
        ("git.example.org:8443", "https://git.example.org:8443/ml/repo"),
        ("git.example.org:*", "ssh://git@git.example.org:7999/ml/repo"),
        ("[fd00::A]", "ssh://git@[fd00:0::a]/repo"),
        ("10.0.0.7", "https://10.0.0.7/repo"),
    ],
)
def test_a_glob_of_hosts_allows(glob: str, url: str):
    assert HostGlob.parse(glob).allows(url)


@pytest.mark.parametrize(
    ("glob", "url"),
    [
        ("git.example.org", "https://git.example.org:8443/repo"),
        ("git.example.org", "ssh://git@git.example.org:443/repo"),
        ("git.example.org:443", "ssh://git@git.example.org/repo"),
        ("git.example.org", "https://git.example.org.evil.com/repo"),
        ("git.example.org", "https://evil.com/git.example.org/"),
        ("git.example.org", "https://evil.com\\@git.example.org/"),
        ("git.example.org", "https://git.example.org\\.evil.com/"),
        ("git.example.org", "https://git.example.org%2eevil.com/"),
        ("git.example.org", "https://git.example.org#.evil.com/"),
        ("git.example.org", "ssh://git@evil.com@git.example.org/repo"),
        ("git.example.org", "ssh://git:git.example.org@evil.com/repo"),
        ("git.example.org", "https://git.example.org./repo"),
        ("git.example.org", "file://git.example.org/repo"),
        ("git.example.org", "git.example.org:repo"),
        ("*.example.org", "https://a.b.example.org/repo"),
        ("*.example.org", "https://*.example.org/repo"),
        ("git.example.org:*", "https://git.example.org:*/repo"),
        ("127.0.0.*", "https://2130706433/repo"),
        ("*", "https://0x7f000001/repo"),
    ],
)
def test_a_glob_of_hosts_does_not_allow(glob: str, url: str):
    assert not HostGlob.parse(glob).allows(url)


@pytest.mark.parametrize(
    "glob", ["", "https://git.example.org", "git.example.org/ml", "a b", "h:0", "git@host"]
)
def test_what_is_no_glob_of_hosts_says_so(glob: str):
    with pytest.raises(ValueError, match=re.escape(f'"{glob}" ')):
        HostGlob.parse(glob)
