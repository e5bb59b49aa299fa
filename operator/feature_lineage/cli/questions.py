"""The commands that ask: who uses what, from which record, and what was when."""

from datetime import timedelta
from pathlib import Path
from typing import Final

import click

from feature_lineage.cli.options import FOLDER, STATE, state_of

AS_OF: Final = click.option(
    "--as-of",
    metavar="TIME",
    help="Answer for this time: 2026-11-30T12:00:00Z, or a duration before now such as 36h.",
)
OUTPUT: Final = click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text")
LIMIT: Final = click.option(
    "--limit", type=click.IntRange(1, 10_000), default=100, show_default=True
)
POSITION: Final = click.option(
    "--after", type=click.IntRange(0), default=0, help="Continue after this position."
)
STEPS: Final = click.IntRange(0, 1_000)


@click.command()
@FOLDER
@click.argument("name")
@STATE
@AS_OF
@LIMIT
@click.option("--after", metavar="MODEL/VERSION", help="Continue after this version.")
@OUTPUT
def impact(
    folder: Path,
    name: str,
    state: Path | None,
    as_of: str | None,
    limit: int,
    after: str | None,
    output: str,
) -> None:
    """List the model versions that a change of an object may affect.

    NAME is a feature view (driver_stats), a feature (driver_stats:conv_rate), a feature service
    (service/driver_activity_v1), a data source (source/trips) or an entity (entity/driver). The
    list has every version of every model, with and without an alias, page by page. Versions whose
    features are not all known may be affected, too: they are counted apart.
    """
    from feature_lineage.cli.history import parsed_time
    from feature_lineage.cli.impact import run_impact

    run_impact(
        folder,
        name,
        state or state_of(folder),
        at=parsed_time(as_of) if as_of else None,
        limit=limit,
        after=after,
        output=output,
    )


@click.command()
@FOLDER
@click.argument("name", required=False)
@STATE
@click.option("--up", type=STEPS, help="Steps against the data.  [default: all]")
@click.option("--down", type=STEPS, help="Steps with the data.  [default: all]")
@click.option("--features/--no-features", default=False, help="Show features, not only views.")
@AS_OF
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "mermaid", "dot", "json"]),
    default="text",
    show_default=True,
)
def graph(
    folder: Path,
    name: str | None,
    state: Path | None,
    up: int | None,
    down: int | None,
    as_of: str | None,
    output: str,
    *,
    features: bool,
) -> None:
    """Print the lineage of NAME, from data sources to the aliases of models.

    \b
    NAME is one of:
      VIEW, VIEW:FEATURE
      source/NAME, entity/NAME, service/NAME
      model/NAME/VERSION, alias/MODEL@ALIAS (or models:/NAME/VERSION, models:/MODEL@ALIAS)
    Without NAME the whole graph is printed.

    \b
    feature-lineage graph . driver_stats -o mermaid
    feature-lineage graph . driver_stats --down 0 -o dot | dot -Tsvg > driver_stats.svg
    """
    from feature_lineage.cli.history import parsed_time
    from feature_lineage.cli.lineage_questions import run_graph

    run_graph(
        folder,
        state or state_of(folder),
        name,
        up=up,
        down=down,
        at=parsed_time(as_of) if as_of else None,
        features=features,
        output=output,
    )


@click.command()
@FOLDER
@click.argument("name")
@STATE
@AS_OF
@OUTPUT
def features(folder: Path, name: str, state: Path | None, as_of: str | None, output: str) -> None:
    """Print the features of a model version, with the verdict and the record they are from.

    \b
    NAME is one of:
      models:/NAME/VERSION, models:/NAME@ALIAS (or model/NAME/VERSION, alias/NAME@ALIAS)
      models:/m-ID   a LoggedModel
      runs:/ID       a run: all versions that come from the run

    The features are in the order in which Feast recorded them.
    """
    from feature_lineage.cli.history import parsed_time
    from feature_lineage.cli.lineage_questions import run_features

    at = parsed_time(as_of) if as_of else None
    run_features(folder, state or state_of(folder), name, at=at, output=output)


@click.command()
@FOLDER
@click.argument("model", required=False)
@STATE
@AS_OF
@LIMIT
@click.option("--after", metavar="MODEL/VERSION", help="Continue after this version.")
@OUTPUT
def versions(
    folder: Path,
    model: str | None,
    state: Path | None,
    as_of: str | None,
    limit: int,
    after: str | None,
    output: str,
) -> None:
    """List every version of the models that name a project, whether a TrainedModel exists or not.

    FRESH says whether the features meet their freshness objectives, SERVES whether the last probe
    could retrieve them. A blank means: not known, or without an objective.
    """
    from feature_lineage.cli.history import parsed_time
    from feature_lineage.cli.lineage_questions import run_versions

    run_versions(
        folder,
        state or state_of(folder),
        model,
        at=parsed_time(as_of) if as_of else None,
        after=after,
        limit=limit,
        output=output,
    )


@click.command()
@FOLDER
@click.argument("text")
@STATE
@AS_OF
@LIMIT
@POSITION
@OUTPUT
def search(
    folder: Path,
    text: str,
    state: Path | None,
    as_of: str | None,
    limit: int,
    after: int,
    output: str,
) -> None:
    """Find sources, entities, views, features, services and models by a part of their name."""
    from feature_lineage.cli.history import parsed_time
    from feature_lineage.cli.lineage_questions import run_search

    run_search(
        folder,
        state or state_of(folder),
        text,
        at=parsed_time(as_of) if as_of else None,
        after=after,
        limit=limit,
        output=output,
    )


@click.command()
@FOLDER
@STATE
@click.option("--days", type=click.IntRange(0, 36_500), default=90, show_default=True)
@LIMIT
@POSITION
@OUTPUT
def unused(
    folder: Path, state: Path | None, days: int, limit: int, after: int, output: str
) -> None:
    """List views and features that no model version has used for some time.

    A version is a user while it has an alias, or for --days after it was registered. A protected
    feature service is a user, too. Predictions that retrieve features directly are not known.
    """
    from feature_lineage.cli.lineage_questions import run_unused

    run_unused(
        folder,
        state or state_of(folder),
        days=timedelta(days=days),
        after=after,
        limit=limit,
        output=output,
    )


@click.command()
@FOLDER
@click.argument("names", metavar="[NAME]...", nargs=-1)
@STATE
@click.option("--since", metavar="TIME", help="Only what began at or after this time.")
@click.option("--until", metavar="TIME", help="Only what began at or before this time.")
@click.option("--as-of", metavar="TIME", help="Print the state at this time instead of a list.")
@LIMIT
@click.option("--after", metavar="ENTRY", help="Continue after this entry.")
@OUTPUT
def history(
    folder: Path,
    names: tuple[str, ...],
    state: Path | None,
    since: str | None,
    until: str | None,
    as_of: str | None,
    limit: int,
    after: str | None,
    output: str,
) -> None:
    """List the moves of aliases and the operations of the projects in DIR, oldest first.

    The history is in MLflow. TIME is a time such as 2026-11-30T12:00:00Z (UTC without a zone), or
    a duration before now such as 36h. With --as-of the command prints which versions the aliases
    named at that time, which registry was in force, and which operations ran.
    """
    from feature_lineage.cli.history import parsed_cursor, parsed_time, run_as_of, run_list

    kept = state or state_of(folder)
    if as_of is not None:
        if since or until or after:
            raise click.UsageError("--as-of is one time: use it without --since, --until, --after")
        run_as_of(folder, kept, names, at=parsed_time(as_of), output=output)
        return
    first, last = (parsed_time(time) if time else None for time in (since, until))
    if first is not None and last is not None and first > last:
        raise click.UsageError(f"--since {since} is after --until {until}: exchange them")
    run_list(
        folder,
        kept,
        names,
        since=first,
        until=last,
        after=parsed_cursor(after),
        limit=limit,
        output=output,
    )


QUESTIONS: Final = (impact, features, versions, graph, search, unused, history)
