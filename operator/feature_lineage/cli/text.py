"""Tables as kubectl prints them."""

import click

from feature_lineage.shorten import visible


def print_table(rows: list[list[str]]) -> None:
    """Columns of equal width, three blanks apart; the first row is the header."""
    safe = [[visible(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in safe) for i in range(len(safe[0]))]
    for row in safe:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("   ".join(cells).rstrip())
