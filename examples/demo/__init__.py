"""``make demo``: the main scenario on real Feast and real MLflow, without a cluster."""
