"""The cells of the claims: each kind a function from settings to a small table of results."""
