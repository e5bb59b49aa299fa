"""Feature references in Feast's syntax: ``view:feature`` and ``view@v2:feature``.

``view@latest:feature`` and ``view@V2:feature`` are parsed, too, as Feast does, but never written.
Feast's registry, MLflow's run tags and protection all use references; only this module parses them.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from feature_lineage.errors import TerminalError

_REFERENCE = re.compile(
    r"(?P<view>[^:@\s][^:@]*?)(?:@(?:[vV](?P<version>[0-9]{1,9})|(?i:latest)))?:(?P<feature>[^:]+)"
)

CACHE_SIZE: Final = 16_384
"""Parsed references that are cached: 10,000 models use the same few features, 20 each."""


@dataclass(frozen=True, slots=True, order=True)
class FeatureRef:
    """One feature of one feature view.

    Attributes:
        view: name of the feature view (of any kind: plain, on-demand, stream, label).
        feature: name of the feature in it.
        version: the pinned version of the view, None for the latest.
    """

    view: str
    feature: str
    version: int | None = None

    @classmethod
    def parse(cls, text: str) -> "FeatureRef":
        """Parse ``view:feature`` or ``view@v2:feature``.

        Raises:
            TerminalError: the text is no reference.
        """
        return _parsed(text)

    @property
    def view_key(self) -> str:
        """The view with its pinned version: ``view`` or ``view@v2``."""
        return self.view if self.version is None else f"{self.view}@v{self.version}"

    def __str__(self) -> str:
        return f"{self.view_key}:{self.feature}"


@lru_cache(CACHE_SIZE)
def _parsed(text: str) -> FeatureRef:
    match = _REFERENCE.fullmatch(text.strip())
    if match is None:
        raise TerminalError(
            f"{text!r} is no feature reference; write view:feature or view@v2:feature"
        )
    version = match["version"]
    return FeatureRef(match["view"], match["feature"], None if version is None else int(version))
