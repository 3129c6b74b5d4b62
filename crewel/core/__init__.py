"""What everything else builds on: the contract with algorithms, trees, keys, traces, compiling."""
