"""Arguments and options that several commands have."""

from pathlib import Path

import click

FOLDER = click.argument(
    "folder", metavar="DIR", type=click.Path(path_type=Path, exists=False), default=Path()
)
STATE = click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for status, snapshots and jobs.  [default: DIR/.feature-lineage]",
)


def state_of(folder: Path) -> Path:
    """The default state folder of a manifest folder."""
    return folder / ".feature-lineage"
