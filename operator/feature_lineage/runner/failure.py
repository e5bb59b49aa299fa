"""Converts the exception that ended an operation into a report with cause and location.

An error of this product carries its reason. For any other error the phase decides: ``InvalidRepo``
while the repo's code runs, else ``JobFailed``.
"""

import os
import traceback
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from feature_lineage.errors import WHERE_JOBS_RUN, FeatureLineageError
from feature_lineage.operations.job_report import JobReport, Outcome
from feature_lineage.operations.protocol import JobRequest
from feature_lineage.reasons import Reason
from feature_lineage.runner.errors import SteppedBack, error_line
from feature_lineage.runner.progress import DOING, REPO_PHASES, ProgressPipe
from feature_lineage.runner.report_builder import report_of


def report(
    request: JobRequest, progress: ProgressPipe, started: datetime, error: BaseException
) -> JobReport:
    """The report of an operation that raised an error."""
    match error:
        case SteppedBack():
            outcome, reason, message = Outcome.STEPPED_BACK, error.reason, error.message
        case FeatureLineageError():
            outcome, reason, message = Outcome.FAILED, error.reason, error.message
        case _ if progress.phase_name in REPO_PHASES or isinstance(error, ModuleNotFoundError):
            outcome, reason = Outcome.FAILED, Reason.INVALID_REPO
            message = repo_fault(error, Path(request.repo).resolve())
        case _:
            outcome, reason = Outcome.FAILED, Reason.JOB_FAILED
            message = (
                f"while {DOING.get(progress.phase_name, progress.phase_name)}: {error_line(error)}"
            )
            traceback.print_exception(error)
    return report_of(
        request,
        outcome,
        started,
        reason=reason,
        message=message,
        feast_version=version("feast"),
        seconds=progress.seconds,
    )


def repo_fault(error: BaseException, repo: Path) -> str:
    """``features.py:12: NameError: …``, with the next step where one is known."""
    where = _location(error, repo)
    prefix = f"{where}: " if where else ""
    match error:
        case SystemExit():
            return f"{prefix}the repo's code calls sys.exit({error.code!r})"
        case ModuleNotFoundError() if error.name:
            package = error.name.partition(".")[0]
            return (
                f"{prefix}there is no module named {error.name!r}: add {package!r} "
                f"{WHERE_JOBS_RUN}, or add the missing file to the repo"
            )
        case SyntaxError():
            return f"{prefix}SyntaxError: {error.msg}"
        case RecursionError():
            return f"{prefix}RecursionError: the repo's code has an endless recursion"
        case _:
            return prefix + error_line(error)


def _location(error: BaseException, repo: Path) -> str:
    """File and line of the innermost frame in the repo; "" if there is none."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_relative(error.filename, repo) or error.filename}:{error.lineno}"
    location = ""
    for frame in traceback.extract_tb(error.__traceback__):
        if name := _relative(frame.filename, repo):
            location = f"{name}:{frame.lineno}"
    return location


def _relative(filename: str, repo: Path) -> str:
    if not Path(filename).is_absolute():  # such as "<string>"
        return ""
    path = Path(os.path.realpath(filename))
    return str(path.relative_to(repo)) if path.is_relative_to(repo) else ""
