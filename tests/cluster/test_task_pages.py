"""Runs the commands of the task pages, page after page, block after block.

The control plane has no node. Commands that need a running operator are left out, and the test
writes the statuses that the operator would write.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from tests.cluster.binaries import binary
from tests.cluster.controlplane import ControlPlane
from tests.unit.docs.pages import PAGES, ROOT, Block, blocks, read
from tests.unit.docs.test_docs import NO_MANIFESTS

DOCS: Final = ROOT / "docs"
NEEDS_THE_OPERATOR: Final = re.compile(r"rollout status| wait --for|^feature-lineage (plan|impact)")
FILES: Final = ("ca.crt", "id_ed25519", "known_hosts")
SECRETS: Final = {"MLFLOW_PASSWORD": "pass word", "GIT_TOKEN": "token"}
SECONDS: Final = 120.0


class User:
    """A user with a shell, a checkout and a cluster.

    Args:
        home: working folder of the commands, and of the files that they write.
    """

    def __init__(self, cluster: ControlPlane, home: Path) -> None:
        self._home = home
        for name in ("charts", "crds", "examples"):
            (home / name).symlink_to(ROOT / name)
        for name in FILES:
            (home / name).write_text(f"{name}\n")
        programs = home / "bin"
        programs.mkdir()
        for name in ("kubectl", "helm"):
            (programs / name).symlink_to(binary(name))
        self._environment = {
            **SECRETS,
            "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(home),
            "KUBECONFIG": str(cluster.kubeconfig),
        }

    def pastes(self, block: Block) -> str:
        """Return the output of a block, without the commands that need the operator."""
        lines = [line for line in block.text.splitlines() if not NEEDS_THE_OPERATOR.search(line)]
        return self("\n".join(lines))

    def __call__(self, script: str) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self._home,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def writes(self, name: str, text: str) -> None:
        (self._home / name).write_text(text)

    def status(self, resource: str, **status: Any) -> None:
        """Write a status, as the operator would."""
        patch = json.dumps({"status": status})
        self(
            f"kubectl --namespace ml patch {resource} --type merge --subresource status "
            f"--patch '{patch}'"
        )


def pasted(page: str) -> list[Block]:
    return [block for block in blocks(DOCS / page) if block.info == "sh"]


def conditions(**given: tuple[str, str]) -> list[dict[str, str]]:
    """Conditions by type: status and reason."""
    rest = {"message": "", "lastTransitionTime": "2026-11-26T07:00:00Z"}
    return [
        {"type": name, "status": status, "reason": reason, **rest}
        for name, (status, reason) in given.items()
    ]


def table(printed: str) -> list[list[str]]:
    """Return the words of each line, without the age."""
    lines = [line.split() for line in printed.splitlines() if line.strip()]
    return [words[:-1] for words in lines]


@pytest.mark.slow
def test_commands_of_the_task_pages_work_in_order(
    start_control_plane: Callable[..., ControlPlane], tmp_path: Path
) -> None:
    user = User(start_control_plane(), tmp_path)
    installs(user)
    makes_the_first_project(user)
    for page in ("protect.md", "blocked-change.md", "rotate-secrets.md"):
        for block in pasted(page):
            user.pastes(block)
    every_manifest_of_the_pages_is_taken(user)
    uninstalls(user)


def installs(user: User) -> None:
    fragments = (
        block.text for block in blocks(DOCS / "install.md") if block.info == "yaml fragment"
    )
    values, *_ = (text for text in fragments if "mlflowServers" in text)
    user.writes("values.yaml", values)
    prepares, installs, *upgrades = pasted("install.md")

    user.pastes(prepares)
    assert "No resources found" in user.pastes(installs)
    for block in upgrades:
        user.pastes(block)
    asked_for = user("kubectl --namespace feature-lineage get deployment --output yaml")
    assert "registry.example.org/ml/feature-lineage-operator:0.1.0" in asked_for
    for name in re.findall(r"(?:secretName|name): (mlflow-prod|corporate-ca)\n", asked_for):
        user(f"kubectl --namespace feature-lineage get secrets,configmaps | grep -w {name}")


def makes_the_first_project(user: User) -> None:
    (manifests,) = (block for block in blocks(DOCS / "first-project.md") if block.info == "yaml")
    user.writes("project.yaml", manifests.text)
    shown = [block.text for block in blocks(DOCS / "first-project.md") if block.info == "console"]
    namespace, stores, token, grants, applies, looks, waits = pasted("first-project.md")

    for block in (namespace, stores, token):
        user.pastes(block)
    assert user.pastes(grants).splitlines()[-1] == "yes"
    user.pastes(applies)

    user.status(
        "fsp/driver-ranking",
        conditions=conditions(Ready=("False", "Progressing"), Materialized=("Unknown", "NeverRun")),
    )
    user.status("ftm/driver-model", conditions=conditions(Ready=("False", "ModelNotFound")))
    assert table(user.pastes(looks)) == table(shown[0])
    user.status(
        "fsp/driver-ranking",
        conditions=conditions(Ready=("True", "Succeeded"), Materialized=("True", "Succeeded")),
        applied={"revision": "4c0e6a9fb0b7d1a1f4c2b5d9a37e8c6f1d2b3a45"},
        counts={"staleViews": 0, "brokenModels": 0},
    )
    user.status(
        "ftm/driver-model",
        conditions=conditions(Ready=("True", "Verified")),
        resolved={"version": "3"},
        lineage={"featureService": "driver_activity_v1", "verdict": "Verified"},
        freshness={"fresh": True},
    )
    assert table(user.pastes(looks)) == table(shown[1])
    assert "Ready\tTrue\tSucceeded" in user.pastes(waits)


def every_manifest_of_the_pages_is_taken(user: User) -> None:
    """The API server accepts the manifests in an empty namespace, without unknown fields."""
    user("kubectl create namespace judged")
    for page in PAGES:
        for block in blocks(page) if page not in NO_MANIFESTS else ():
            if block.info == "yaml":
                text = re.sub(r"\bnamespace: [a-z]+", "namespace: judged", block.text)
                user.writes("judged.yaml", text)
                options = "--namespace judged --dry-run=server --validate=strict"
                user(f"kubectl create {options} --filename judged.yaml")


def uninstalls(user: User) -> None:
    read_policies, *others = pasted("uninstall.md")
    release = next(each for each in others if "helm uninstall" in each.text)
    projects, rest = others[: others.index(release)], others[others.index(release) :]

    assert "Retain" in user.pastes(read_policies)
    for block in projects:
        user("kubectl apply --filename project.yaml")  # each is for another state
        user.pastes(block)
    for block in rest:
        user.pastes(block)
    left = user("kubectl get crds,clusterroles,clusterrolebindings --output name")
    assert [name for name in left.splitlines() if "lineage" in name] == []
    assert "lineage" not in user("kubectl --namespace ml get roles,rolebindings --output name")


def test_values_of_the_install_page_are_values_of_the_chart(tmp_path: Path) -> None:
    fragments = [
        block.text for block in blocks(DOCS / "install.md") if block.info == "yaml fragment"
    ]
    values = [text for text in fragments if "kind:" not in text]

    assert len(values) == 3
    for number, text in enumerate(values):
        file = tmp_path / f"{number}.yaml"
        file.write_text(text)
        command = [binary("helm"), "template", ROOT / "charts/feature-lineage-operator"]
        apis = ("--api-versions", "monitoring.coreos.com/v1")
        done = subprocess.run(
            [*command, "--values", file, *apis], capture_output=True, text=True, timeout=SECONDS
        )
        assert done.returncode == 0, f"{text}\n{done.stderr}"


def test_printed_grant_is_that_of_the_install_page() -> None:
    (shown,) = (
        list(yaml.safe_load_all(block.text))
        for block in blocks(DOCS / "install.md")
        if "kind: RoleBinding" in block.text
    )
    (command,) = re.findall(r"`(feature-lineage grant [^`]+)` prints", read(DOCS / "install.md"))
    words = [str(Path(sys.executable).with_name("feature-lineage")), *command.split()[1:]]
    printed = subprocess.run(words, capture_output=True, text=True, check=True).stdout

    assert list(yaml.safe_load_all(printed)) == shown
