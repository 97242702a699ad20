"""Running the cells of claims: here, in a pool of processes, or on a cluster."""
