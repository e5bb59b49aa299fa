"""What a model relies on when it relies on a feature.

A `FeatureDefinition` is everything about a feature that can make serving it fail, lie or differ:
type and join keys (Broken), source, transformation, TTL and version (Changed). Tags, owner and
description are no part of it.
"""

from dataclasses import dataclass

from feature_lineage.features.refs import FeatureRef


@dataclass(frozen=True, slots=True)
class FeatureDefinition:
    """One feature as a snapshot defines it.

    Attributes:
        ref: the feature.
        dtype: Feast value type, such as ``FLOAT`` or ``INT64``.
        join_keys: (join key, value type) of the view's entities, sorted.
        source: digest of the batch and stream source, "" where the view has none.
        transformation: digest of the user-defined function and what feeds it, "" where none.
        closure: digest of the repo code the function reaches; "" where not known.
        ttl: as the registry spells it (``86400s``), "" where unset.
        version: the view's pinned version, "" for the latest.
    """

    ref: FeatureRef
    dtype: str
    join_keys: tuple[tuple[str, str], ...]
    source: str = ""
    transformation: str = ""
    closure: str = ""
    ttl: str = ""
    version: str = ""
