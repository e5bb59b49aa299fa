"""Annotations that users set on resources: their names, and how their values are parsed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from feature_lineage.api.base import GROUP
from feature_lineage.api.enums import OverrideKind
from feature_lineage.errors import InvalidManifest
from feature_lineage.shorten import cut

RECONCILE_REQUESTED_AT = f"{GROUP}/reconcile-requested-at"
ALLOW_BREAKING = f"{GROUP}/{OverrideKind.ALLOW_BREAKING}"
ALLOW_ADOPTION = f"{GROUP}/{OverrideKind.ALLOW_ADOPTION}"
ALLOW_DELETE = f"{GROUP}/{OverrideKind.ALLOW_DELETE}"
OWNER = f"{GROUP}/model-owner"
FINALIZER = f"{GROUP}/cleanup"

PLACEHOLDER = "<why>"
_DIGEST_AND_WHY = re.compile(r"(?P<digest>\S+?):\s+(?P<why>\S.*)", re.DOTALL)


@dataclass(frozen=True)
class Override:
    """The permission of a user, with the reason that is recorded.

    `plan_digest` is empty for allow-delete, which is about the project and not about a plan.
    """

    kind: OverrideKind
    plan_digest: str
    why: str


def override(annotations: Mapping[str, str], kind: OverrideKind) -> Override | None:
    """The permission of this kind, or None if the annotation is absent.

    Raises InvalidManifest if the annotation has no plan digest or no reason.
    """
    name = f"{GROUP}/{kind}"
    value = annotations.get(name)
    if value is None:
        return None
    if kind is OverrideKind.ALLOW_DELETE:
        if not value.strip():
            raise InvalidManifest(f'annotation {name} gives no reason: write {name}: "<why>"')
        return Override(kind, plan_digest="", why=value.strip())
    match = _DIGEST_AND_WHY.fullmatch(value.strip())
    if match is None:
        raise InvalidManifest(
            f'annotation {name} is {cut(value, 200)!r}: write {name}: "<plan digest>: <why>",'
            " with the digest of status.plan"
        )
    if match["why"] == PLACEHOLDER:
        raise InvalidManifest(
            f"annotation {name} still says {PLACEHOLDER}: write the reason, which is recorded"
        )
    return Override(kind, plan_digest=match["digest"], why=match["why"])
