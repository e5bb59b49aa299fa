"""`feature-lineage grant`: the Roles that allow the operator to read single Secrets."""

import yaml
from click.testing import CliRunner

from feature_lineage.cli.main import main


def grant(*arguments: str):
    return CliRunner().invoke(main, ["grant", *arguments])


def test_each_secret_has_a_role_bound_to_the_operator():
    done = grant("mlflow", "git", "-n", "ml", "--service-account", "lineage/operator")
    manifests = list(yaml.safe_load_all(done.output))

    assert done.exit_code == 0
    assert [each["kind"] for each in manifests] == ["Role", "RoleBinding"] * 2
    for secret, (role, binding) in zip(
        ("git", "mlflow"), (manifests[:2], manifests[2:]), strict=True
    ):
        assert role["metadata"] == {"name": f"operator-secret-{secret}", "namespace": "ml"}
        assert role["rules"] == [
            {
                "apiGroups": [""],
                "resources": ["secrets"],
                "resourceNames": [secret],
                "verbs": ["get"],
            }
        ]
        assert binding["metadata"] == role["metadata"]
        assert binding["roleRef"]["name"] == role["metadata"]["name"]
        assert binding["subjects"] == [
            {"kind": "ServiceAccount", "name": "operator", "namespace": "lineage"}
        ]


def names(*arguments: str) -> set[str]:
    output = grant(*arguments, "--service-account", "lineage/operator").output
    return {each["metadata"]["name"] for each in yaml.safe_load_all(output)}


def test_a_later_grant_leaves_an_earlier_one_alone():
    assert names("git", "mlflow") & names("git-2", "registry") == set()
    assert names("git") < names("git", "registry")


def test_long_names_are_cut_and_still_differ():
    one, other = names("s" * 252 + "a"), names("s" * 252 + "b")

    assert one != other
    assert {len(name) for name in one | other} == {253}


def test_the_same_secrets_in_another_order_are_the_same_grant():
    assert grant("b", "a", "b").output == grant("a", "b").output


def test_without_a_secret_it_says_how_it_is_used():
    done = grant()

    assert done.exit_code == 2
    assert "SECRET" in done.output


def test_a_name_that_is_none_is_refused():
    done = grant("Not A Name")

    assert done.exit_code == 2
    assert "'Not A Name' is not a valid name of a Kubernetes object" in done.output


def test_an_account_without_its_namespace_is_refused():
    done = grant("git", "--service-account", "operator")

    assert done.exit_code == 2
    assert "write NAMESPACE/NAME" in done.output
