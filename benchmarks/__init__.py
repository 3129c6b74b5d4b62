"""Ratios of two commands in one run: `python -m benchmarks`, on a quiet machine."""
