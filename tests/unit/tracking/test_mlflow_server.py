"""The address and credential of MLflow: accepted values, and no secret in a message."""

import pytest

from feature_lineage.errors import InvalidManifest
from feature_lineage.tracking import BasicAuth, BearerToken, MLflowServer


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("http://mlflow.ml:5000", "http://mlflow.ml:5000"),
        ("http://mlflow.ml:5000/", "http://mlflow.ml:5000"),
        (" https://ml.example/prefix// ", "https://ml.example/prefix"),
        ("http://[::1]:5000", "http://[::1]:5000"),
        ("HTTPS://ML.Example:443/Prefix/", "https://ml.example/Prefix"),
        ("http://mlflow.ml:80", "http://mlflow.ml"),
        ("http://mlflow.ml:443", "http://mlflow.ml:443"),
        ("http://mlflow.ml:", "http://mlflow.ml"),
        ("http://[FE80::1]:80/x", "http://[fe80::1]/x"),
    ],
)
def test_a_tracking_uri_is_normalized(given: str, kept: str) -> None:
    assert MLflowServer(given).tracking_uri == kept


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "mlflow:5000",
        "sqlite:///mlflow.db",
        "databricks",
        "file:///mlruns",
        "http://",
        "http://host:port",
        "http://host/?x=1",
        "http://host/#x",
    ],
)
def test_other_uris_are_refused(uri: str) -> None:
    with pytest.raises(InvalidManifest):
        MLflowServer(uri)


def test_a_uri_with_a_password_is_refused_without_repeating_it() -> None:
    with pytest.raises(InvalidManifest, match="name a secret under auth") as error:
        MLflowServer("http://me:hunter2@mlflow.ml:5000")

    assert "hunter2" not in error.value.message


def test_no_secret_is_in_a_repr() -> None:
    servers = [
        MLflowServer("http://a", credential=BasicAuth("me", "hunter2")),
        MLflowServer("http://a", credential=BearerToken("hunter2")),
    ]

    assert "hunter2" not in repr(servers)


@pytest.mark.parametrize("token", ["", " \n", "two words", "line\nbreak", "schlüssel"])
def test_an_illegal_token_is_refused_and_not_repeated(token: str) -> None:
    with pytest.raises(InvalidManifest) as error:
        BearerToken(token)

    assert not token.strip() or token not in error.value.message


def test_blanks_around_a_token_are_no_part_of_it() -> None:
    assert BearerToken("abc\n") == BearerToken("abc")


def test_a_ca_bundle_that_is_no_pem_is_refused() -> None:
    with pytest.raises(InvalidManifest, match="CA bundle"):
        MLflowServer("https://a", ca_bundle="nonsense")


def test_servers_compare_by_value_credential_included() -> None:
    one = MLflowServer("http://a/", credential=BasicAuth("me", "x"))

    assert one == MLflowServer("http://a", credential=BasicAuth("me", "x"))
    assert one != MLflowServer("http://a", credential=BasicAuth("me", "y"))
    assert one != MLflowServer("http://a", workspace="w", credential=BasicAuth("me", "x"))
    assert len({one, MLflowServer("http://a", credential=BasicAuth("me", "x"))}) == 1


def test_an_address_that_the_http_library_refuses_is_refused() -> None:
    with pytest.raises(InvalidManifest, match="does not parse"):
        MLflowServer("https://\x00a.example.org/ml")
