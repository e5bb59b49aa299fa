"""Decides which tags to write on a model version.

Feast's own tags are written if they are missing. Other values are overwritten only if the resource
sets `onConflict: UseDeclared`. The baseline is written once, the verdict when it changes.
"""

from collections.abc import Mapping
from typing import Final

from feature_lineage.api.enums import LineageOrigin as Origin
from feature_lineage.api.enums import OnConflict, TagsMode
from feature_lineage.api.model_spec import TrainedModelSpec
from feature_lineage.decide.observed import LinkedVersion
from feature_lineage.models.baseline import (
    BASELINE_DIGEST_TAG,
    BASELINE_FROM_TAG,
    REGISTRY_DIGEST_TAG,
)
from feature_lineage.models.recorded import (
    COUNT_TAG,
    DECLARED_TAG,
    PROJECT_TAG,
    REFS_TAG,
    SERVICE_TAG,
    VIEWS_TAG,
)
from feature_lineage.models.verdicts import Verdict

VERDICT_TAG: Final = "featurelineage.io/verdict"
REVISION_TAG: Final = "featurelineage.io/revision"
MAX_TAG: Final = 100_000
_TAGGED_VERDICTS = frozenset({Verdict.VERIFIED, Verdict.UNCHANGED, Verdict.CHANGED, Verdict.BROKEN})


def tags_to_write(linked: LinkedVersion, spec: TrainedModelSpec, project: str) -> dict[str, str]:
    """Tags that are missing on the version or have another value; empty if all are written.

    Args:
        project: the Feast project.
    """
    if spec.tags.mode is TagsMode.OFF or spec.suspend:
        return {}
    present = linked.version.tags
    wanted = _own(linked, present)
    if spec.tags.mode is TagsMode.ALL:
        wanted |= _feast(linked, present, spec, project)
    return {key: value for key, value in wanted.items() if present.get(key) != value}


def _own(linked: LinkedVersion, present: Mapping[str, str]) -> dict[str, str]:
    wanted: dict[str, str] = {}
    judgement, baseline = linked.judgement, linked.baseline
    schema = judgement.baseline_schema_digest if judgement is not None else None
    if baseline is not None and schema and REGISTRY_DIGEST_TAG not in present:
        wanted[BASELINE_FROM_TAG] = baseline.frm
        wanted[BASELINE_DIGEST_TAG] = schema
        if baseline.revision:
            wanted[REVISION_TAG] = baseline.revision
        # Written last: MLflow accepts tags one by one, and this one marks the choice as complete.
        wanted[REGISTRY_DIGEST_TAG] = baseline.digest
    if judgement is not None and (judgement.verdict in _TAGGED_VERDICTS or VERDICT_TAG in present):
        wanted[VERDICT_TAG] = str(judgement.verdict)
    return wanted


def _feast(
    linked: LinkedVersion, present: Mapping[str, str], spec: TrainedModelSpec, project: str
) -> dict[str, str]:
    link = linked.link
    if not link.complete:
        return {}
    refs = ",".join(str(ref) for ref in link.refs)
    wanted = {
        PROJECT_TAG: project,
        VIEWS_TAG: ",".join(link.views),
        COUNT_TAG: str(len(link.refs)),
        REFS_TAG: refs,
    }
    if link.service:
        wanted[SERVICE_TAG] = link.service
    wanted = {key: value for key, value in wanted.items() if len(value) <= MAX_TAG}
    if link.origin is Origin.DECLARED and (DECLARED_TAG in present or SERVICE_TAG not in present):
        return {**wanted, DECLARED_TAG: link.service}
    if spec.on_conflict is OnConflict.USE_DECLARED and spec.feature_service:
        return wanted
    return {key: value for key, value in wanted.items() if key not in present}
