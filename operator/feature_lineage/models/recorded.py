"""Reads the lists of features recorded in run tags, the Feast artifact and version tags.

Feast cuts a tag at 4,990 characters and writes its artifact from the cut tag, but records the right
number of features. So a list is complete if its length is that number and it does not end in a cut.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from feature_lineage.api.enums import LineageOrigin as Origin
from feature_lineage.errors import TerminalError
from feature_lineage.features.refs import FeatureRef
from feature_lineage.models.facts import ModelVersion, TrainingRun

PROJECT_TAG: Final = "feast.project"
SERVICE_TAG: Final = "feast.feature_service"
REFS_TAG: Final = "feast.feature_refs"
COUNT_TAG: Final = "feast.feature_count"
VIEWS_TAG: Final = "feast.feature_views"
DECLARED_TAG: Final = "featurelineage.io/declared-service"
"""Marks the Feast tags of a version as copies of what a resource declares, not records of training.
Without the mark, the copies would contradict every later declaration."""

# 4,987 or 4,990 characters and "...", by Feast's version; a tag written by hand is not that long.
_CUT_AT: Final = 4_980
_ELLIPSIS: Final = "..."


@dataclass(frozen=True, slots=True)
class FeatureRecord:
    """One recorded list of features.

    Attributes:
        items: the recorded texts; without the last one where the list was cut.
        count: the number of features recorded beside the list; None if not recorded.
        cut: whether the list was cut.
    """

    origin: Origin
    items: tuple[str, ...]
    count: int | None
    cut: bool

    @property
    def precise(self) -> bool:
        if self.cut or not self.items or not all(map(is_reference, self.items)):
            return False
        return self.count is None or len(self.items) == self.count

    @property
    def partial(self) -> bool:
        """Whether the items are features of the version, but not all of them."""
        if self.precise or self.count is None or self.cut:
            return not self.precise
        return sum(map(is_reference, self.items)) < self.count

    def __str__(self) -> str:
        where = {
            Origin.RUN_TAG: f"run tag {REFS_TAG}",
            Origin.ARTIFACT: "feast_features.json",
            Origin.VERSION_TAG: f"version tag {REFS_TAG}",
        }[self.origin]
        bad = sum(not is_reference(item) for item in self.items)
        malformed = f", {bad} of them malformed" if bad else ""
        total = "an unrecorded number" if self.count is None else str(self.count)
        return f"{where} has {len(self.items)} of {total} features{malformed}"


def records_of(version: ModelVersion, run: TrainingRun | None) -> Iterator[FeatureRecord]:
    """The recorded lists of a version, the most trusted one first."""
    tags: Mapping[str, str] = run.tags if run is not None else {}
    count = _number(tags)
    if tags.get(REFS_TAG):
        yield _tag_record(Origin.RUN_TAG, tags[REFS_TAG], count)
    if run is not None and run.features_artifact:
        items = tuple(item.strip() for item in run.features_artifact)
        # Feast writes the artifact from the tag, so it is cut where the tag is.
        cut = _is_cut(",".join(items))
        yield FeatureRecord(Origin.ARTIFACT, items[:-1] if cut else items, count, cut)
    if version.tags.get(REFS_TAG):
        own = _number(version.tags)
        yield _tag_record(Origin.VERSION_TAG, version.tags[REFS_TAG], count if own is None else own)


def needs_artifact(run: TrainingRun) -> bool:
    """Whether the run's ``feast_features.json`` may have more than its tags."""
    if run.features_artifact is not None or not run.tags.get(REFS_TAG):
        return False
    return not _tag_record(Origin.RUN_TAG, run.tags[REFS_TAG], _number(run.tags)).precise


def count_of(version: ModelVersion, run: TrainingRun | None) -> int | None:
    """The recorded number of features, which may be recorded without a list."""
    counts = (_number(tags) for tags in ((run.tags if run else {}), version.tags))
    return next((count for count in counts if count is not None), None)


def own_records(version: ModelVersion) -> ModelVersion:
    """The version without the Feast tags that were copied from a declaration."""
    if DECLARED_TAG not in version.tags:
        return version
    copied = (SERVICE_TAG, REFS_TAG, COUNT_TAG, VIEWS_TAG)
    tags = {key: value for key, value in version.tags.items() if key not in copied}
    return replace(version, tags=tags)


def projects_of(version: ModelVersion, run: TrainingRun | None) -> tuple[str, ...]:
    recorded = (version.tags.get(PROJECT_TAG), run.tags.get(PROJECT_TAG) if run else None)
    return tuple(name for name in recorded if name)


def parse(text: str) -> FeatureRef | None:
    try:
        return FeatureRef.parse(text)
    except TerminalError:
        return None


def is_reference(text: str) -> bool:
    return parse(text) is not None


def _tag_record(origin: Origin, text: str, count: int | None) -> FeatureRecord:
    items = tuple(item.strip() for item in text.split(","))
    cut = _is_cut(text)
    return FeatureRecord(origin, items[:-1] if cut else items, count, cut)


def _is_cut(text: str) -> bool:
    return len(text) >= _CUT_AT and text.endswith(_ELLIPSIS)


def _number(tags: Mapping[str, str]) -> int | None:
    text = tags.get(COUNT_TAG, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
