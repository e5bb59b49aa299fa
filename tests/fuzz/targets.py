"""The parsers, by name."""

from typing import Final

from tests.fuzz import git, history, manifests, mlflow, reports, snapshots, texts
from tests.fuzz.harness import Target

TARGETS: Final[dict[str, Target]] = {
    target.name: target
    for target in (
        reports.TARGET,
        snapshots.SNAPSHOT,
        snapshots.TIMELINE,
        mlflow.TARGET,
        history.TARGET,
        *git.TARGETS,
        *manifests.TARGETS,
        *texts.TARGETS,
    )
}
