"""``feature-lineage``, also installed as the kubectl plugin ``kubectl lineage``."""

import os
import sys
from pathlib import Path
from typing import Final

import click

from feature_lineage import __version__
from feature_lineage.cli.options import FOLDER, STATE, state_of
from feature_lineage.cli.questions import QUESTIONS
from feature_lineage.errors import FeatureLineageError
from feature_lineage.shorten import visible_lines

INVALID: Final = 2
INTERRUPTED: Final = 130


class Cli(click.Group):
    """Prints errors of the operator as one line and sets the exit code. Other errors propagate."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except FeatureLineageError as error:
            click.echo(f"Error: {visible_lines(error.message)}", err=True)
            ctx.exit(INVALID)
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)


@click.group(
    cls=Cli,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with `feature-lineage local --help`, or read the quick start in docs/.",
)
@click.version_option(__version__, prog_name="feature-lineage")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Track which MLflow models use which Feast features, and keep the feature store applied.

    \b
    On one machine           feature-lineage local DIR --once
    In a cluster             feature-lineage operator (started by the Helm chart)
    In a pull request        feature-lineage plan DIR
    List the resources       feature-lineage get DIR
    Details of a resource    feature-lineage describe DIR NAME

    \b
    Models that use a view   feature-lineage impact DIR VIEW
    Features of a model      feature-lineage features DIR models:/NAME@ALIAS
    All versions of models   feature-lineage versions DIR
    From source to alias     feature-lineage graph DIR NAME
    Find an object           feature-lineage search DIR TEXT
    What nobody uses         feature-lineage unused DIR
    What was when            feature-lineage history DIR --as-of 36h
    """
    if os.environ.get("NO_COLOR"):  # see no-color.org; click does not read it
        ctx.color = False


@main.command()
@FOLDER
@STATE
@click.option("--once", is_flag=True, help="Do everything that can be done now, then exit.")
@click.option(
    "--delete-removed",
    is_flag=True,
    help="Delete the projects, with deletionPolicy Delete, whose manifests were removed.",
)
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    help="Serve /metrics on this port; 0 selects a free one.",
)
@click.option(
    "--api-port",
    type=click.IntRange(0, 65535),
    help="Serve the HTTP API on this port of the loopback address; 0 selects a free one.",
)
def local(
    folder: Path,
    state: Path | None,
    *,
    once: bool,
    delete_removed: bool,
    metrics_port: int | None,
    api_port: int | None,
) -> None:
    """Reconcile the manifests of DIR on this machine, without a cluster.

    Jobs run as subprocesses. The state folder keeps the status of each resource as YAML.
    Without --once the command runs until Ctrl-C, and reads changed manifests and repositories.

    \b
    Exit codes of --once:
      0  every resource is Ready
      1  at least one resource is not Ready; `feature-lineage describe DIR` says why
      2  a manifest does not validate, or the state folder cannot be used
    """
    from feature_lineage.cli.local import run_local

    sys.exit(
        run_local(
            folder,
            state or state_of(folder),
            once=once,
            delete_removed=delete_removed,
            metrics_port=metrics_port,
            api_port=api_port,
        )
    )


@main.command()
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("/etc/feature-lineage/config.yaml"),
    show_default=True,
    help="Configuration file; the chart creates it.",
)
@click.option(
    "--kubeconfig",
    envvar="KUBECONFIG",
    default="",
    help="Kubeconfig to use instead of the service account of the pod.",
)
@click.option(
    "--log-level",
    type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"], case_sensitive=False),
    default="INFO",
    show_default=True,
)
@click.option(
    "--log-format",
    type=click.Choice(["auto", "json", "text"]),
    default="auto",
    show_default=True,
    help="auto: text on a terminal, otherwise JSON.",
)
def operator(config: Path, kubeconfig: str, log_level: str, log_format: str) -> None:
    """Reconcile the resources of a cluster. The pods of the Helm chart run this command.

    Several replicas may run: one leads, the others follow and can take over. On SIGTERM the leader
    finishes running reconciles and releases the Lease.

    \b
    Exit codes:
      0  the process was told to stop
      1  the Lease was lost, or the watch ended repeatedly; the next process continues
      2  the process cannot start: invalid configuration, port in use, or no API server configured
    """
    from feature_lineage.kube.operator_process import run_operator

    sys.exit(
        run_operator(
            config, kubeconfig=kubeconfig, log_level=log_level.upper(), log_format=log_format
        )
    )


@main.command()
@click.argument("secrets", metavar="SECRET...", nargs=-1, required=True)
@click.option(
    "-n", "--namespace", default="default", show_default=True, help="Namespace of the Secrets."
)
@click.option(
    "--service-account",
    metavar="NAMESPACE/NAME",
    default="feature-lineage/feature-lineage-operator",
    show_default=True,
    help="ServiceAccount of the operator.",
)
def grant(secrets: tuple[str, ...], namespace: str, service_account: str) -> None:
    """Print the Roles that allow the operator to read these Secrets, for kubectl apply -f -.

    By default the operator can read no Secret: the owner of a namespace grants each one by name.

    \b
    feature-lineage grant git-token mlflow-login -n ml | kubectl apply -f -
    """
    from feature_lineage.cli.grant import run_grant

    run_grant(secrets, namespace, service_account)


@main.command()
@FOLDER
@STATE
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text")
@click.option(
    "--detailed-exitcode",
    is_flag=True,
    help="Exit with 4 if a change may be applied although it breaks or changes a protected model.",
)
def plan(folder: Path, state: Path | None, output: str, *, detailed_exitcode: bool) -> None:
    """Print what the newest revision would do, and which models it would break.

    The command writes nothing to the registry or to MLflow. Use it as the check of pull requests.

    \b
    Exit codes:
      0  the revision may be applied
      1  the plan could not be made
      2  a manifest does not validate
      3  blocked: it would break a protected model, or delete what others applied
      4  with --detailed-exitcode: it may be applied, but breaks or changes a protected model

    With several projects the first of 2, 3, 1, 4 that applies is used.
    """
    from feature_lineage.cli.plan import run_plan

    sys.exit(run_plan(folder, state or state_of(folder), output, detailed=detailed_exitcode))


@main.command()
@FOLDER
@STATE
@click.option("-o", "--output", type=click.Choice(["table", "yaml", "json"]), default="table")
def get(folder: Path, state: Path | None, output: str) -> None:
    """List the resources of DIR with the columns that kubectl prints."""
    from feature_lineage.cli.show import run_get

    run_get(folder, state or state_of(folder), output)


@main.command()
@FOLDER
@click.argument("names", metavar="[NAME]...", nargs=-1)
@STATE
def describe(folder: Path, names: tuple[str, ...], state: Path | None) -> None:
    """Print details of resources in DIR: conditions, lineage, recent operations, events."""
    from feature_lineage.cli.show import run_describe

    run_describe(folder, names, state or state_of(folder))


@main.command()
@click.option(
    "--output-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write one file per resource into this folder instead of printing.",
)
def crds(output_dir: Path | None) -> None:
    """Print the CustomResourceDefinitions, for kubectl apply -f -."""
    from feature_lineage.api.crd import crd_documents, crd_files, dump

    if output_dir is None:
        click.echo(dump(crd_documents()), nl=False)
        return
    output_dir.mkdir(parents=True, exist_ok=True)
    for name, text in crd_files().items():
        (output_dir / name).write_text(text, encoding="utf-8")


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the shell's completion script.

    \b
    bash   source <(feature-lineage completion bash)
    zsh    source <(feature-lineage completion zsh)
    fish   feature-lineage completion fish | source
    """
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(main, {}, "feature-lineage", "_FEATURE_LINEAGE_COMPLETE").source())


for question in QUESTIONS:
    main.add_command(question)
