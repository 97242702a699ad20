"""What composes train, export, quantize, check and bench; the CLI calls it."""
