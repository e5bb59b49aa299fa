"""Problems in the status of a model or of a plan."""

from feature_lineage.api.project_status import ProblemStatus
from feature_lineage.decide.budget import MAX_PROBLEMS
from feature_lineage.models.problems import Problem


def listed_problems(problems: tuple[Problem, ...]) -> tuple[ProblemStatus, ...]:
    """The first `MAX_PROBLEMS`; a total counts all of them."""
    return tuple(
        ProblemStatus(
            feature=problem.feature,
            kind=str(problem.kind),
            was=problem.was or None,
            now=problem.now or None,
        )
        for problem in problems[:MAX_PROBLEMS]
    )
