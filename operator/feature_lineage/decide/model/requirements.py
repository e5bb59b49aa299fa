"""What Ready of a model requires if its spec does not say."""

from feature_lineage.api.conditions import ModelCondition
from feature_lineage.api.enums import ReadyRequirement
from feature_lineage.api.model_status import TrainedModelStatus
from feature_lineage.decide.model.serving import is_probed
from feature_lineage.decide.observed import ObservedModel


def serving_by_default(before: TrainedModelStatus) -> bool | None:
    """Whether Serving is required of the model by default: decided at first sight, then kept.

    A model with a status of an older version keeps what it had: it was seen first by a version
    that did not require Serving. A status without Resolved is that of a model that nobody has seen,
    or that was not valid.
    """
    seen = any(condition.type == ModelCondition.RESOLVED for condition in before.conditions)
    return before.serving_by_default if seen else True


def requirements(
    observed: ObservedModel, status: TrainedModelStatus
) -> tuple[ReadyRequirement, ...]:
    """The requirements of Ready."""
    given = observed.resource.spec.ready_requires
    if given is not None:
        return given
    if status.serving_by_default and is_probed(observed):
        return ReadyRequirement.LINEAGE, ReadyRequirement.SERVING
    return (ReadyRequirement.LINEAGE,)
