"""Tasks: data, split, metric and the baselines that stand beside every model."""
