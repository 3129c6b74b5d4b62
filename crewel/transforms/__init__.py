"""Maps between the unconstrained space and the parameters."""
