"""Decides which models of a platform's MLflow server a namespace may see, tag and record for.

The platform lists entries for each server. An entry names namespaces, Feast projects and registered
models by globs, and what is allowed besides reading. Several entries add up. Without an entry,
nothing is allowed.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from feature_lineage.api.base import ApiModel

_PROJECT_NAME: Final = re.compile(r"[A-Za-z0-9_]*")


class Permission(StrEnum):
    """What an entry allows besides reading."""

    TAGS = "Tags"  # to write tags on versions of the models
    OPS_RUNS = "OpsRuns"  # to record operations of the Feast projects
    ALIASES = "Aliases"  # no effect: nothing sets aliases
    VERSIONS = "Versions"  # no effect: nothing registers versions


NameGlob = Annotated[str, Field(min_length=1, max_length=256)]


class AccessEntry(ApiModel):
    """One entry of the access to a named server."""

    namespaces: Annotated[tuple[NameGlob, ...], Field(min_length=1)] = Field(
        description="Globs of namespaces; `*` matches any text."
    )
    feast_projects: Annotated[tuple[NameGlob, ...], Field(min_length=1)] = Field(
        description="Globs of Feast projects (`spec.project`)."
    )
    models: Annotated[tuple[NameGlob, ...], Field(min_length=1)] = Field(
        description="Globs of registered models, which may be read."
    )
    allow: tuple[Permission, ...] = Field(
        (),
        description="What is allowed besides reading. `Aliases` and `Versions` have no effect: this"
        " version sets no aliases and registers no versions.",
    )


@dataclass(frozen=True, slots=True)
class Grant:
    """What one entry gives to a namespace and a Feast project that it names.

    Attributes:
        models: globs of registered models.
        allow: what is allowed besides reading.
    """

    models: tuple[str, ...]
    allow: frozenset[Permission]


@dataclass(frozen=True, slots=True)
class Access:
    """What a server's entries together give to one namespace and one Feast project."""

    grants: tuple[Grant, ...]

    def sees(self, model: str) -> bool:
        """Whether this registered model may be read."""
        return any(_matches_any(grant.models, model) for grant in self.grants)

    def may(self, permission: Permission, model: str) -> bool:
        """Whether the permission holds for this registered model."""
        return any(
            permission in grant.allow and _matches_any(grant.models, model) for grant in self.grants
        )

    @property
    def may_record(self) -> bool:
        """Whether operations of the Feast project may be recorded."""
        return any(Permission.OPS_RUNS in grant.allow for grant in self.grants)


def access_of(entries: Iterable[AccessEntry], namespace: str, feast_project: str) -> Access | None:
    """The access of a namespace with a Feast project; None if no entry names both."""
    grants = tuple(
        dict.fromkeys(
            Grant(entry.models, frozenset(entry.allow))
            for entry in entries
            if _matches_any(entry.namespaces, namespace)
            and _matches_any(entry.feast_projects, feast_project)
        )
    )
    return Access(grants) if grants else None


def project_of_experiment(experiment: str) -> str:
    """The Feast project whose operations an experiment of that name could hold.

    A suffix may continue the name: the project ``a`` with the suffix ``b-feast-ops`` writes to the
    experiment of the project ``ab``.
    """
    found = _PROJECT_NAME.match(experiment)
    return found.group() if found else ""


def matches(glob: str, name: str) -> bool:
    """Whether a glob matches a whole name; only ``*`` is special, and matches any text.

    The time is linear in the length of the name for each star.
    """
    first, *rest = glob.split("*")
    if not rest:
        return glob == name
    *middle, last = rest
    at, end = len(first), len(name) - len(last)
    if at > end or not name.startswith(first) or not name.endswith(last):
        return False
    for part in middle:
        found = name.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def _matches_any(globs: Iterable[str], name: str) -> bool:
    return any(matches(glob, name) for glob in globs)
