"""The configuration of the operator: one YAML file, which the chart writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, Field, StrictBool, ValidationError
from pydantic_core import PydanticCustomError

from feature_lineage.api.base import ApiModel, rule
from feature_lineage.api.types import DnsLabel, Duration, Text, at_least
from feature_lineage.api.validation_messages import validation_messages
from feature_lineage.errors import InvalidManifest
from feature_lineage.kube.url_allowlist import Glob, HostGlob, UrlAllowlist
from feature_lineage.tracking import AccessEntry, BasicAuth, BearerToken, Credential, MLflowServer


def _parsed_by(parse: Callable[[str], object], example: str) -> AfterValidator:
    def parses(glob: str) -> str:
        try:
            parse(glob)
        except ValueError as error:
            fact = f"{error}: write one such as {example}"
            raise PydanticCustomError("glob", "{fact}", {"fact": fact}) from error
        return glob

    return AfterValidator(parses)


NAMESPACED = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"

_ADDRESS = _parsed_by(Glob.parse, "https://mlflow.*.example.org or http://server.ml:5000/*")
_HOST = _parsed_by(HostGlob.parse, "git.example.org, *.example.org or git.example.org:8443")


class NamedServer(ApiModel):
    """An MLflow server that projects name by ``spec.mlflow.serverRef``."""

    name: DnsLabel = Field(description="Name of the server in `serverRef`.")
    tracking_uri: Text = Field(description="Address of the server.")
    workspace: str = Field(
        "",
        description="Workspace of the server; projects can use no other. Empty: any workspace.",
    )
    credential_dir: str = Field(
        "", description="Directory of a mounted Secret: username and password, or token."
    )
    ca_file: str = Field("", description="Certificate authorities (PEM) to trust for this server.")
    access: tuple[AccessEntry, ...] = Field(
        (), description="Who may use the server, and for what; empty: nobody."
    )

    def server(self) -> MLflowServer:
        """The server with its credential, read now: a mounted Secret may be rotated.

        Raises:
            InvalidManifest: a file is missing.
        """
        try:
            ca_bundle = Path(self.ca_file).read_text(encoding="utf-8") if self.ca_file else ""
            credential = _credential(Path(self.credential_dir)) if self.credential_dir else None
        except OSError as error:
            raise InvalidManifest(
                f"MLflow server {self.name}: {error.filename}: {error.strerror}; "
                "check the chart's mlflowServers and the Secret they name"
            ) from error
        return MLflowServer(self.tracking_uri, self.workspace, credential, ca_bundle)


class RunnerConfig(ApiModel):
    """Defaults of jobs, for what their project does not set."""

    image: Text = Field(description="Image of the runner.")
    image_pull_policy: str = Field("IfNotPresent", description="As in a pod.")
    image_pull_secrets: tuple[str, ...] = Field(
        (), description="Names of Secrets in each project's namespace."
    )
    resources: dict[str, Any] = Field({}, description="CPU and memory of a job's container.")


class LeaderElection(ApiModel):
    """The Lease of the leader."""

    lease_name: DnsLabel = Field("feature-lineage-operator", description="Name of the Lease.")


@rule(
    "set tlsDir, or allowPlainHttp: tokens are sent in the requests",
    cel="!self.enabled || self.tlsDir != '' || self.allowPlainHttp",
    holds=lambda self: not self.enabled or bool(self.tls_dir) or self.allow_plain_http,
)
class ApiConfig(ApiModel):
    """The HTTP API."""

    enabled: StrictBool = Field(False, description="Whether the operator serves it.")
    port: int = Field(8443, ge=0, le=65535, description="Its port.")
    tls_dir: str = Field("", description="Directory of a mounted Secret with tls.crt and tls.key.")
    feast_ui_without_token: tuple[Annotated[str, Field(pattern=NAMESPACED)], ...] = Field(
        (),
        description="Projects (`namespace/name`) whose three answers for Feast's UI need no token: "
        "names of models, features, services and runs are then open to whoever reaches the port.",
    )
    allow_plain_http: StrictBool = Field(
        False,
        description="Whether it may be served without TLS, such as behind a proxy.",
    )


class OperatorConfig(ApiModel):
    """The operator's own configuration."""

    namespaces: tuple[DnsLabel, ...] = Field((), description="Namespaces to watch; empty: all.")
    allowed_tracking_uris: tuple[Annotated[str, _ADDRESS], ...] = Field(
        (), description="Globs of tracking URIs that projects may use; empty: none."
    )
    allow_any_tracking_uri: StrictBool = Field(
        False, description="Whether projects may use any tracking URI."
    )
    allowed_git_hosts: tuple[Annotated[str, _HOST], ...] = Field(
        (), description="Globs of Git hosts that projects may use; empty: none."
    )
    allow_any_git_host: StrictBool = Field(
        False, description="Whether projects may use repositories on any Git host."
    )
    allowed_feature_server_urls: tuple[Annotated[str, _ADDRESS], ...] = Field(
        (), description="Globs of feature servers that probes of projects may ask; empty: none."
    )
    allow_any_feature_server_url: StrictBool = Field(
        False, description="Whether probes of projects may ask any feature server."
    )
    mlflow_servers: tuple[NamedServer, ...] = Field(
        (), description="The servers that `serverRef` can name."
    )
    runner: RunnerConfig = Field(description="How jobs run.")
    workers: int = Field(16, ge=1, le=256, description="How many resources are reconciled at once.")
    resync_interval: Annotated[Duration, at_least("10s")] = Field(
        Duration("10m"), description="How often every resource is reconciled without an event."
    )
    port: int = Field(8080, ge=0, le=65535, description="Port of /metrics, /healthz and /readyz.")
    api: ApiConfig = Field(ApiConfig(), description="The HTTP API.")
    leader_election: LeaderElection = Field(LeaderElection(), description="Leader election.")

    @property
    def tracking_uris(self) -> UrlAllowlist:
        """The (normalized) tracking URIs that projects may name."""
        globs = tuple(map(Glob.parse, self.allowed_tracking_uris))
        return UrlAllowlist(globs, self.allow_any_tracking_uri)

    @property
    def feature_servers(self) -> UrlAllowlist:
        """The feature servers that projects may name."""
        globs = tuple(map(Glob.parse, self.allowed_feature_server_urls))
        return UrlAllowlist(globs, self.allow_any_feature_server_url)

    @property
    def git_hosts(self) -> UrlAllowlist:
        """The repositories that projects may name, by their hosts."""
        globs = tuple(map(HostGlob.parse, self.allowed_git_hosts))
        return UrlAllowlist(globs, self.allow_any_git_host)

    @property
    def named_servers(self) -> dict[str, NamedServer]:
        """The servers that ``serverRef`` can name, by name."""
        return {each.name: each for each in self.mlflow_servers}


def read_config(path: Path) -> OperatorConfig:
    """Read the configuration file.

    Raises:
        InvalidManifest: the file is missing or does not validate; with every error.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidManifest(f"{path} cannot be read: {error}; name the file with --config") from (
            error
        )
    try:
        return OperatorConfig.model_validate(content or {}, by_alias=True, by_name=False)
    except ValidationError as error:
        wrong = "\n".join(
            f"{path}: {fact}" for _, fact in validation_messages(error, OperatorConfig)
        )
        raise InvalidManifest(wrong) from error


def _credential(folder: Path) -> Credential:
    """``token``, or ``username`` and ``password``: the keys of the standard Secret types."""
    token = folder / "token"
    if token.exists():
        return BearerToken(token.read_text(encoding="utf-8"))
    return BasicAuth(
        (folder / "username").read_text(encoding="utf-8").strip(),
        (folder / "password").read_text(encoding="utf-8").strip(),
    )
