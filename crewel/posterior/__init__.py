"""The result of every run, and what can be asked of it."""
