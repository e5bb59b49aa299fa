"""`spec.mlflow` of a FeatureStoreProject: the server with the models, and its credential."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, StrictBool

from feature_lineage.api.base import ApiModel, exactly_one_of, rule
from feature_lineage.api.checks import Check
from feature_lineage.api.refs import KeySource, ObjectRef
from feature_lineage.api.types import DnsLabel, Duration, Text, at_least

_HTTP_URL = r"^https?://[^@/?#\s]+(/[^?#\s]*)?$"


def _http_url(credentials: str) -> Check:
    return Check(
        "must be http://host or https://host, with a port and a path where needed, without a"
        f" password or token: {credentials}",
        cel=f"self.matches(r'{_HTTP_URL}')",
        holds=lambda url: re.fullmatch(_HTTP_URL, url) is not None,
    )


_Url = Annotated[str, Field(min_length=1, max_length=2048)]
HttpUrl = Annotated[_Url, _http_url("credentials belong in auth")]
OpenUrl = Annotated[_Url, _http_url("no credential is sent")]
"""Of a server that answers without a credential."""


class AuthSecret(ApiModel):
    """A Secret with a credential."""

    secret_ref: ObjectRef = Field(description="The Secret, in the same namespace.")


@exactly_one_of("basic", "bearer")
class MlflowAuth(ApiModel):
    """The credential for MLflow."""

    basic: AuthSecret | None = Field(
        None, description="User name and password: a Secret of type kubernetes.io/basic-auth."
    )
    bearer: AuthSecret | None = Field(None, description="A token: a Secret with a key token.")


@exactly_one_of("server_ref", "tracking_uri")
@rule(
    "auth and caBundle are for trackingUri only: a server of serverRef has its own",
    cel="!has(self.serverRef) || (!has(self.auth) && !has(self.caBundle))",
    holds=lambda self: self.server_ref is None or (self.auth is None and self.ca_bundle is None),
)
class MlflowSpec(ApiModel):
    """The MLflow server with the models of this project."""

    server_ref: DnsLabel | None = Field(
        None, description="A server that the platform configured: its address, credential and CA."
    )
    tracking_uri: HttpUrl | None = Field(
        None,
        description="Address of the server; in a cluster, allowedTrackingUris must allow it.",
    )
    workspace: Text | None = Field(None, description="Workspace of the server.")
    auth: MlflowAuth | None = Field(None, description="Credential; none if absent.")
    ca_bundle: KeySource | None = Field(
        None, description="Certificate authorities (PEM) to trust for this server."
    )
    poll_interval: Annotated[Duration, at_least("1s")] = Field(
        Duration("30s"), description="How often to read aliases and new versions, at least 1s."
    )
    log_operations: StrictBool = Field(
        True, description="Whether each operation is recorded as an MLflow run."
    )
    ops_experiment_suffix: Annotated[str, Field(min_length=1, max_length=64)] = Field(
        "-feast-ops",
        description="The experiment of the operations is the name of the project with this suffix.",
    )
