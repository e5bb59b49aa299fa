"""``python -m feature_lineage.cli``."""

from feature_lineage.cli.main import main

main(prog_name="feature-lineage")
