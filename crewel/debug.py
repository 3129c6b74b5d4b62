"""Checks of a model and of the call that is about to be made."""
