"""The last no-op reconcile of a model: the next one is skipped while its inputs are the same."""

from dataclasses import dataclass
from datetime import datetime

from feature_lineage.reconcile.observe_model import ModelInputs


@dataclass(frozen=True, slots=True)
class NoOpReconcile:
    """A reconcile that had nothing to write and nothing to do.

    Attributes:
        inputs: everything it depended on besides the time.
        until: when the time alone may change its result.
    """

    inputs: ModelInputs
    until: datetime

    def holds(self, inputs: ModelInputs, now: datetime) -> bool:
        """Whether a reconcile with these inputs would be a no-op as well."""
        return now < self.until and self.inputs.same(inputs)
