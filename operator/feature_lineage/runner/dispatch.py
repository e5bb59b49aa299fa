"""Runs the operation that a request names."""

import os
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from feature_lineage.features.bounds import check_dependencies
from feature_lineage.operations.job_report import JobReport, Outcome
from feature_lineage.operations.kinds import KINDS
from feature_lineage.operations.protocol import JobRequest
from feature_lineage.operations.serving import not_served
from feature_lineage.runner.apply import apply
from feature_lineage.runner.delete import delete
from feature_lineage.runner.dry_retrieval import ask
from feature_lineage.runner.ephemeral import check_stores
from feature_lineage.runner.errors import RegistryUnreadable, error_line
from feature_lineage.runner.job import Job, view_reports
from feature_lineage.runner.materialize import materialize
from feature_lineage.runner.probe import probe
from feature_lineage.runner.progress import ProgressPipe
from feature_lineage.runner.reader import RegistryReader
from feature_lineage.runner.settings import check_project, check_writable, load_settings
from feature_lineage.runner.states import put_back


def run(request: JobRequest, progress: ProgressPipe, started: datetime) -> JobReport:
    """Carry out one operation.

    Raises:
        FeatureLineageError: the operation failed or has to wait.
    """
    repo = Path(request.repo).resolve()
    settings = load_settings(repo, request.feature_store_yaml)
    progress.emit("secrets", values=settings.secrets, hosts=settings.hosts)
    check_project(settings, request.project)
    check_writable(settings, request.kind)
    check_stores(settings, repo, request.ephemeral)
    os.chdir(repo)
    reader = RegistryReader(settings.config, repo)
    job = Job(request, progress, started, repo, settings, reader)
    warnings = put_back(job) if KINDS[request.kind].writes_registry else ()
    report = COMMANDS[KINDS[request.kind].command](job)
    return report.model_copy(update={"warnings": (*warnings, *report.warnings)})


def observe(job: Job) -> JobReport:
    """Read the registry, and ask Feast what it serves; no repo code, no write.

    For the questions Feast runs the code of on-demand views that the registry stores.
    """
    reading = job.read()
    if not reading.exists:
        raise RegistryUnreadable("there is no registry yet: apply the repo first")
    check_dependencies(job.snapshot(reading))
    questions = job.request.observe.questions if job.request.observe else ()
    answers, warnings = None, tuple[str, ...]()
    if questions:
        with job.progress.phase("dry_retrieval"):
            try:
                answers = not_served(ask(job.open_store(), reading, questions))
            except Exception as error:  # noqa: BLE001  the registry is known, whatever Feast raises
                warnings = (f"Feast was not asked what it serves: {error_line(error)}",)
    snapshot = job.snapshot(reading, answers=answers)
    return job.report(
        Outcome.SUCCEEDED,
        warnings=warnings,
        previous=snapshot.objects_digest,
        snapshot=snapshot,
        views=view_reports(
            reading.proto,
            job.project,
            served=bool(job.settings.config.registry.serve_features_while_materializing),
        ),
    )


COMMANDS: Final[Mapping[str, Callable[[Job], JobReport]]] = {
    "apply": apply,
    "plan": apply,
    "materialize": materialize,
    "delete": delete,
    "observe": observe,
    "probe": probe,
}
"""The function of each command; a plan is an apply that stops before it writes."""
