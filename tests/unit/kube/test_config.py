"""The configuration file of the operator."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from feature_lineage.errors import InvalidManifest
from feature_lineage.kube.config import OperatorConfig, read_config
from feature_lineage.tracking import BasicAuth, BearerToken
from feature_lineage.tracking.platform_servers import PlatformServers

RUNNER = {"image": "runner:1"}


def config(**fields: object) -> OperatorConfig:
    return OperatorConfig.model_validate({"runner": RUNNER, **fields})


def test_a_file_with_the_runner_image_is_enough(tmp_path: Path):
    file = tmp_path / "config.yaml"
    file.write_text("runner: {image: 'runner:1'}\n")

    read = read_config(file)
    assert read.runner.image == "runner:1"
    assert (read.namespaces, read.workers, read.port) == ((), 16, 8080)
    assert read.leader_election.lease_name == "feature-lineage-operator"


def test_every_error_of_a_file_is_reported_with_its_field(tmp_path: Path):
    file = tmp_path / "config.yaml"
    file.write_text("workers: many\nnamespacez: [a]\n")

    with pytest.raises(InvalidManifest) as error:
        read_config(file)
    text = error.value.message
    assert "runner: is required" in text
    assert "workers: " in text
    assert 'namespacez: unknown field: did you mean "namespaces"?' in text


def test_a_missing_file_has_an_error_with_the_option(tmp_path: Path):
    with pytest.raises(InvalidManifest, match="name the file with --config"):
        read_config(tmp_path / "missing.yaml")


def test_an_address_is_allowed_only_if_the_platform_says_so():
    assert not config().tracking_uris.allows("http://anywhere:5000")
    assert not config(allowAnyGitHost=True).tracking_uris.allows("http://anywhere:5000")
    assert config(allowAnyTrackingUri=True).tracking_uris.allows("http://anywhere:5000")


def test_one_of_several_globs_is_enough():
    read = config(allowedTrackingUris=["http://mlflow.ml:5000/", "https://*.example.org"])

    assert read.tracking_uris.allows("http://mlflow.ml:5000")
    assert read.tracking_uris.allows("https://mlflow.example.org")
    assert not read.tracking_uris.allows("https://mlflow.example.com")


def test_a_malformed_glob_is_an_error_of_the_file(tmp_path: Path):
    file = tmp_path / "config.yaml"
    file.write_text(
        "runner: {image: 'runner:1'}\n"
        "allowedTrackingUris: ['https://mlflow.example.org', 'mlflow.*.example.org']\n"
    )

    with pytest.raises(InvalidManifest) as error:
        read_config(file)
    assert (
        'allowedTrackingUris[1]: "mlflow.*.example.org" is not of the form '
        "http(s)://host[:port][/path]: write one such as" in error.value.message
    )


def test_a_git_host_is_allowed_only_if_the_platform_says_so():
    here = "https://git.example.org/ml/repo"

    assert not config().git_hosts.allows(here)
    assert not config(allowAnyTrackingUri=True).git_hosts.allows(here)
    assert config(allowAnyGitHost=True).git_hosts.allows(here)
    assert config(allowedGitHosts=["git.corp", "git.example.org"]).git_hosts.allows(here)
    assert not config(allowedGitHosts=["git.corp"]).git_hosts.allows(here)


def test_a_feature_server_is_allowed_only_if_the_platform_says_so():
    here = "http://features.ml.svc:6566"

    assert not config().feature_servers.allows(here)
    others = config(allowAnyTrackingUri=True, allowAnyGitHost=True)
    assert not others.feature_servers.allows(here)
    assert config(allowAnyFeatureServerUrl=True).feature_servers.allows(here)
    listed = config(allowedFeatureServerUrls=["http://*.ml.svc:6566"]).feature_servers
    assert listed.allows(here)
    assert not listed.allows("http://features.ml.svc:80")
    assert not listed.allows("http://features.ml.svc:6566/admin")
    with pytest.raises(ValidationError, match=r"allowedFeatureServerUrls"):
        config(allowedFeatureServerUrls=["features:6566"])


def test_a_malformed_host_has_an_error_with_an_example():
    with pytest.raises(ValidationError, match=r"is not of the form host\[:port\]: write one such"):
        config(allowedGitHosts=["https://git.example.org"])


def test_named_server_reads_credential_files(tmp_path: Path):
    login, token = tmp_path / "login", tmp_path / "token"
    login.mkdir()
    (login / "username").write_text("operator\n")
    (login / "password").write_text("secret\n")
    token.mkdir()
    (token / "token").write_text("t0ken\n")
    servers = [
        {"name": "a", "trackingUri": "http://a:1", "credentialDir": str(login)},
        {"name": "b", "trackingUri": "http://b:1/", "credentialDir": str(token), "workspace": "w"},
        {"name": "c", "trackingUri": "http://c:1"},
    ]
    read = config(mlflowServers=servers)

    a, b, c = (read.named_servers[name].server() for name in "abc")
    assert a.credential == BasicAuth("operator", "secret")
    assert b.credential == BearerToken("t0ken")
    assert (b.tracking_uri, b.workspace) == ("http://b:1", "w")
    assert c.credential is None
    assert "d" not in read.named_servers


def test_a_server_without_entries_is_given_to_nobody():
    read = config(mlflowServers=[{"name": "a", "trackingUri": "http://a:1"}])

    assert PlatformServers(read.named_servers).access(("a",), "ml", "churn") is None


def test_a_rotated_credential_is_read_again(tmp_path: Path):
    (tmp_path / "token").write_text("old")
    server = {"name": "a", "trackingUri": "http://a:1", "credentialDir": str(tmp_path)}
    named = config(mlflowServers=[server]).named_servers["a"]
    assert named.server().credential == BearerToken("old")

    (tmp_path / "token").write_text("new")
    assert named.server().credential == BearerToken("new")


def test_missing_credential_names_the_file_only(tmp_path: Path):
    (tmp_path / "username").write_text("operator")
    server = {"name": "a", "trackingUri": "http://a:1", "credentialDir": str(tmp_path)}

    with pytest.raises(InvalidManifest, match=r"MLflow server a: .*/password"):
        config(mlflowServers=[server]).named_servers["a"].server()
