"""``make demo``: the main job of the operator, played on real Feast and real MLflow, no cluster."""
