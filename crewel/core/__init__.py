"""What everything else stands on: the contract with algorithms, trees, keys, traces, compiling."""
