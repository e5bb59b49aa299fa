"""`feature-lineage grant`: what lets the operator read single Secrets."""

import yaml
from click.testing import CliRunner

from feature_lineage.cli.main import main


def grant(*arguments: str):
    return CliRunner().invoke(main, ["grant", *arguments])


def test_it_prints_a_role_for_these_secrets_and_no_others_bound_to_the_operator():
    done = grant("mlflow", "git", "-n", "ml", "--service-account", "lineage/operator")
    role, binding = yaml.safe_load_all(done.output)

    assert done.exit_code == 0
    assert role["metadata"] == {"name": "operator-secrets-git", "namespace": "ml"}
    assert role["rules"] == [
        {
            "apiGroups": [""],
            "resources": ["secrets"],
            "resourceNames": ["git", "mlflow"],
            "verbs": ["get"],
        }
    ]
    assert binding["metadata"] == role["metadata"]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": "operator", "namespace": "lineage"}
    ]


def test_the_same_secrets_in_another_order_are_the_same_grant():
    assert grant("b", "a").output == grant("a", "b").output


def test_without_a_secret_it_says_how_it_is_used():
    done = grant()

    assert done.exit_code == 2
    assert "SECRET" in done.output


def test_a_name_that_is_none_is_refused():
    done = grant("Not A Name")

    assert done.exit_code == 2
    assert "'Not A Name' is no name of a Kubernetes object" in done.output


def test_an_account_without_its_namespace_is_refused():
    done = grant("git", "--service-account", "operator")

    assert done.exit_code == 2
    assert "write NAMESPACE/NAME" in done.output
