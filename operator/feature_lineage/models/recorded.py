"""Reads the lists of features recorded in run tags, the Feast artifact and version tags.

Feast cuts a tag at 4,990 characters and writes its artifact from the cut tag, but records the right
number of features. So a list is complete if its length is that number and it does not end in a cut.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from feature_lineage.api.enums import LineageOrigin as Origin
from feature_lineage.errors import TerminalError
from feature_lineage.features.refs import FeatureRef
from feature_lineage.models.facts import ModelVersion, TrainingRun
from feature_lineage.shorten import listed

PROJECT_TAG: Final = "feast.project"
RETRIEVAL_TAG: Final = "feast.retrieval_type"
ENTITIES_TAG: Final = "feast.entity_df_type"
"""Written by historical retrievals only; a later online retrieval does not overwrite the tag."""
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

MAX_ITEMS: Final = 10_000
"""A longer list is read as one that was cut here."""


@dataclass(frozen=True, slots=True)
class FeatureRecord:
    """One recorded list of features.

    Attributes:
        items: the recorded texts; without the last one where the list was cut.
        count: the number of features recorded beside the list; None if not recorded.
        cut: whether the list was cut.
        text: the items as Feast joins them; a comma may be a part of a name.
        online: whether an online retrieval recorded it.
    """

    origin: Origin
    items: tuple[str, ...]
    count: int | None
    cut: bool
    text: str
    online: bool = False

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

    @property
    def replaced(self) -> bool:
        """Whether the tags, with the name of the service, are of a later retrieval."""
        return self.origin is Origin.ARTIFACT and self.count is None

    @property
    def where(self) -> str:
        return {
            Origin.RUN_TAG: f"run tag {REFS_TAG}",
            Origin.ARTIFACT: "feast_features.json",
            Origin.VERSION_TAG: f"version tag {REFS_TAG}",
        }[self.origin]

    @property
    def named(self) -> str:
        """Where the list is, and its first features."""
        kind = "online retrieval, " if self.online else ""
        return f"{self.where} ({kind}{listed(self.items, 3)})"

    def __str__(self) -> str:
        bad = sum(not is_reference(item) for item in self.items)
        malformed = f", {bad} of them malformed" if bad else ""
        total = "an unrecorded number of" if self.count is None else str(self.count)
        return f"{self.where} has {len(self.items)} of {total} features{malformed}"


def run_tag_record(run: TrainingRun) -> FeatureRecord | None:
    """The list of the last retrieval in a run."""
    text = run.tags.get(REFS_TAG)
    if not text:
        return None
    online = run.tags.get(RETRIEVAL_TAG) == "online"
    return _tag_record(Origin.RUN_TAG, text, count_in(run.tags), online=online)


def artifact_record(run: TrainingRun, count: int | None) -> FeatureRecord | None:
    """The list in ``feast_features.json``, which Feast writes from the tag with the model.

    Args:
        count: the number of features of that retrieval; None if a later retrieval replaced it.
    """
    if not run.features_artifact:
        return None
    items = tuple(map(str.strip, run.features_artifact))
    # Feast writes the artifact from the tag, so it is cut where the tag is.
    return _record(Origin.ARTIFACT, items, ",".join(items), count)


def version_tag_record(version: ModelVersion, count: int | None) -> FeatureRecord | None:
    """The list in the tags of a version, which Feast itself does not write.

    Args:
        count: of the run, where the version has no count.
    """
    text, own = version.tags.get(REFS_TAG), count_in(version.tags)
    if not text:
        return None
    return _tag_record(Origin.VERSION_TAG, text, count if own is None else own)


def own_records(version: ModelVersion) -> ModelVersion:
    """The version without the Feast tags that were copied from a declaration."""
    return without_records(version) if DECLARED_TAG in version.tags else version


def without_records(version: ModelVersion) -> ModelVersion:
    """The version without the Feast tags that name features."""
    copied = (SERVICE_TAG, REFS_TAG, COUNT_TAG, VIEWS_TAG)
    tags = {key: value for key, value in version.tags.items() if key not in copied}
    return replace(version, tags=tags)


def projects_of(version: ModelVersion, run: TrainingRun | None) -> tuple[str, ...]:
    """The Feast projects that the version and its run name.

    A run without a name has that of the run in which it is nested.
    """
    while run is not None and not run.tags.get(PROJECT_TAG):
        run = run.parent
    recorded = (version.tags.get(PROJECT_TAG), run.tags.get(PROJECT_TAG) if run else None)
    return tuple(name for name in recorded if name)


def parse(text: str) -> FeatureRef | None:
    try:
        return FeatureRef.parse(text)
    except TerminalError:
        return None


def is_reference(text: str) -> bool:
    return parse(text) is not None


def _tag_record(
    origin: Origin, text: str, count: int | None, *, online: bool = False
) -> FeatureRecord:
    items = tuple(map(str.strip, text.split(",")))
    return _record(origin, items, text, count, online=online)


def _record(
    origin: Origin, items: tuple[str, ...], text: str, count: int | None, *, online: bool = False
) -> FeatureRecord:
    whole = items[:-1] if _is_cut(text) else items
    cut = _is_cut(text) or len(whole) > MAX_ITEMS
    return FeatureRecord(origin, whole[:MAX_ITEMS], count, cut, text, online)


def _is_cut(text: str) -> bool:
    return len(text) >= _CUT_AT and text.endswith(_ELLIPSIS)


def count_in(tags: Mapping[str, str]) -> int | None:
    """The recorded number of features, which may be recorded without a list."""
    text = tags.get(COUNT_TAG, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
