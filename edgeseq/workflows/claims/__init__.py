"""The cells of the claims, each kind a function from settings to a result, and who runs them."""
