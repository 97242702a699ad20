"""Fitting a model to a task: seeded, resumable, checkpointed."""
