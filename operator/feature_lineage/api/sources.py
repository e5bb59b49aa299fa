"""The kinds of `spec.source`: where a feature repository comes from."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field

from feature_lineage.api.base import ApiModel, exactly_one_of
from feature_lineage.api.checks import Check, Pattern
from feature_lineage.api.refs import KeySource, ObjectRef
from feature_lineage.api.types import Duration, Text, at_least

_GIT_URL = r"^(https://[^@/?#\s]+/[^?#\s]+|ssh://[^/?#:\s]+(:[0-9]+)?/[^?#\s]+|file:///[^?#\s]+)$"

GitUrl = Annotated[
    str,
    Field(min_length=1, max_length=2048),
    Check(
        "must be https://host/path, ssh://user@host/path or, on the local host, file:///path,"
        " without a password or token: credentials belong in secretRef",
        cel=f"self.matches(r'{_GIT_URL}')",
        holds=lambda url: re.fullmatch(_GIT_URL, url) is not None,
    ),
]
PathInRepo = Annotated[
    str,
    Field(min_length=1, max_length=1024),
    Check(
        'must be a path inside the repository: relative, and without ".."',
        cel="!self.startsWith('/') && !self.matches('(^|/)[.][.](/|$)')",
        holds=lambda path: not path.startswith("/") and ".." not in path.split("/"),
    ),
]
PathInImage = Annotated[
    str,
    Field(min_length=1, max_length=1024),
    Check(
        "must be an absolute path in the image, such as /repo",
        cel="self.startsWith('/')",
        holds=lambda path: path.startswith("/"),
    ),
]
Commit = Annotated[
    str,
    Field(max_length=64),
    Pattern(r"^([0-9a-f]{40}|[0-9a-f]{64})$", "the full SHA, 40 or 64 hexadecimal digits"),
]


@exactly_one_of("branch", "tag", "commit")
class GitRef(ApiModel):
    """The commit of a Git repository."""

    branch: Text | None = Field(None, description="The newest commit of this branch.")
    tag: Text | None = Field(None, description="The commit of this tag.")
    commit: Commit | None = Field(None, description="This commit, by its full SHA.")


class GitSource(ApiModel):
    """A feature repository in Git."""

    url: GitUrl = Field(description="Address of the repository, without credentials.")
    ref: GitRef = Field(description="Which commit.")
    path: PathInRepo = Field(".", description="Directory of feature_store.yaml in the repository.")
    secret_ref: ObjectRef | None = Field(
        None,
        description="Secret of type kubernetes.io/basic-auth or kubernetes.io/ssh-auth (with"
        " known_hosts), or with a key token.",
    )
    ca_bundle: KeySource | None = Field(
        None, description="Certificate authorities (PEM) to trust for this host."
    )


class ImageSource(ApiModel):
    """A feature repository in the runner's image."""

    path: PathInImage = Field(description="Directory of feature_store.yaml in the image.")


class LocalSource(ApiModel):
    """A folder of this machine, for the local host only; a cluster rejects it."""

    path: Annotated[str, Field(min_length=1, max_length=4096)] = Field(
        description="Directory of feature_store.yaml, relative to the manifest folder."
    )


@exactly_one_of("git", "config_map_ref", "image", "local")
class Source(ApiModel):
    """The source of the feature repository."""

    git: GitSource | None = Field(None, description="A Git repository.")
    config_map_ref: ObjectRef | None = Field(
        None,
        description='A small repository in a ConfigMap: keys are file names, "__" stands for "/".',
    )
    image: ImageSource | None = Field(None, description="A directory of the runner's image.")
    local: LocalSource | None = Field(
        None, description="A folder of this machine; for the local host only."
    )
    poll_interval: Annotated[Duration, at_least("1s")] = Field(
        Duration("5m"),
        description="How often to look for a new revision, at least 1s; starts no pod.",
    )

    @property
    def is_polled(self) -> bool:
        """Whether `poll_interval` applies. A folder or ConfigMap is read at every reconcile."""
        return self.git is not None or self.image is not None
