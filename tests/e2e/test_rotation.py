"""Secrets change while the operator runs: it uses the new values without a restart.

While only one side has changed, the conditions say what is wrong.
"""

import pytest
from tests.cluster.host.polling import condition, says
from tests.e2e.conftest import CreateTenant
from tests.e2e.environment import GIT_TOKEN, OPERATOR, E2eEnvironment, change_password
from tests.e2e.operator import InstalledOperator
from tests.e2e.project_fixture import both, recorded
from tests.e2e.tenant import secret
from tests.local.scene import FEATURES

COMMENTED = FEATURES + "\n# Nothing but a comment: another commit, the same features.\n"


async def test_the_token_of_git(create_tenant: CreateTenant, environment: E2eEnvironment) -> None:
    tenant = create_tenant("git")
    tenant.commit()
    await tenant.create_project()
    await tenant.until(both(recorded(1), says("Ready", "True")))
    try:
        environment.git.login = "x-access-token:the-next-token"
        project = await tenant.until(says("SourceReady", "False", "AuthFailed"))
        message = condition(project, "SourceReady")["message"]
        assert "secretRef" in message
        assert GIT_TOKEN not in message
        assert condition(project, "Applied")["status"] == "True"  # the revision in effect is kept

        tenant.apply(secret("git-token", token="the-next-token"))
        commit = tenant.commit(COMMENTED)
        project = await tenant.until(both(recorded(2), says("Ready", "True")))
        assert project["status"]["applied"]["revision"] == commit
    finally:
        environment.git.login = f"x-access-token:{GIT_TOKEN}"


async def test_the_password_of_the_stores(
    create_tenant: CreateTenant, environment: E2eEnvironment
) -> None:
    tenant = create_tenant("stores")
    tenant.commit()
    await tenant.create_project()
    await tenant.until(both(recorded(1), says("Ready", "True")))

    tenant.password = "the-next-password"
    environment.change_password(tenant.project, tenant.password)
    tenant.apply(tenant.feature_store_secret())

    # Another featureStoreYaml is another operation, with the same commit.
    project = await tenant.until(both(recorded(2), says("Ready", "True")))
    kinds = [each["kind"] for each in project["status"]["operations"]]
    assert kinds == ["Apply", "Apply"]
    for operation in project["status"]["operations"]:
        assert "password" not in operation.get("message", "")


@pytest.mark.slow
async def test_the_operators_own_password_of_mlflow(
    create_tenant: CreateTenant, operator: InstalledOperator, environment: E2eEnvironment
) -> None:
    tenant = create_tenant("mlflow")
    tenant.commit()
    await tenant.create_project()
    await tenant.until(both(recorded(1), says("FactsCurrent", "True")))
    name, password = OPERATOR

    # For the rest of the session: the old password is not needed any more.
    change_password(environment.mlflow, name, "the-next-password-of-12")
    project = await tenant.until(says("FactsCurrent", "False"))
    assert password not in condition(project, "FactsCurrent")["message"]

    operator.rotate(name, "the-next-password-of-12")
    # The kubelet updates a mounted Secret with a delay.
    await tenant.until(says("FactsCurrent", "True"))
    tenant.commit(COMMENTED)
    await tenant.until(recorded(2))
