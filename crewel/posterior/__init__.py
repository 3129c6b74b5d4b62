"""The result of every run, and everything that can be computed from it."""
