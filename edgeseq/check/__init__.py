"""Proof: whole sequence = frame by frame = any chunking, from the bundle alone."""
