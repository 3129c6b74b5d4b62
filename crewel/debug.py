"""Temporary."""
def preflight(model, start=None): pass
