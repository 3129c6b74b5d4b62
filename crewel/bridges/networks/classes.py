"""Whether a likelihood is over the classes that the labels in `y` have."""

from __future__ import annotations

from typing import Any

from crewel.core.labels import Classes, in_words
from crewel.core.text import count
from crewel.likelihoods import CLASSES
from crewel.posterior.distribution import base_of, is_a, kind_of, num_classes


def check(distribution: Any, classes: Classes | None) -> None:
    """Refuse labels that the likelihood cannot have; booleans are numbers where it has none.

    Raises:
        TypeError: it is not a likelihood of classes.
        ValueError: it has another number of classes, or an order that the labels do not have.
    """
    if classes is None:
        return
    base = base_of(distribution)
    kind, found = type(base).__name__, in_words(classes)
    if kind_of(distribution) != CLASSES:
        if classes.names == (False, True):
            return
        raise TypeError(
            f"`y` holds labels ({found}), but the likelihood, a {kind}, is not over classes. Pass "
            'numbers, or use a likelihood such as `"categorical"` or `"bernoulli"`.'
        )
    number = num_classes(base)
    if number != len(classes.names):
        raise ValueError(
            f"`y` holds {count(len(classes.names), 'label')} ({found}), but the likelihood, a "
            f"{kind}, has {number} classes. Change the outputs of the network, or, if labels do "
            "not occur in `y`, declare them all with `pandas.Categorical(y, categories=...)`."
        )
    if is_a(base, ("OrderedLogistic",)) and not classes.declared:
        raise ValueError(
            f"The classes of an {kind} have an order, and strings have none but that of the "
            f"alphabet: {found}. Give the order with `pandas.Categorical(y, categories=...)`."
        )
