"""Weights → step graph with its state contract."""
