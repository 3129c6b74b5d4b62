"""Checks of a model and of the call that is about to be made."""


def debug(model, seed=0, **kwargs):
    return True
