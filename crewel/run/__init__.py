"""Running an algorithm on a model: the call, the programs, the driver."""
