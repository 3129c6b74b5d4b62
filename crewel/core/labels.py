"""Labels of classes, such as strings: from labels to class numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from crewel.core.frames import array_of, columns_of
from crewel.core.text import names


@dataclass(frozen=True)
class Classes:
    """The labels of the classes, in the order of their numbers.

    Attributes:
        names: strings, booleans, or whatever the categories of a pandas column are.
        declared: whether their order is the user's, and not that of sorting.
    """

    names: tuple[Any, ...]
    declared: bool = False


def classes_of(y: Any) -> Classes | None:
    """The classes of `y` if it holds labels; `None` if it holds numbers.

    The categories of a pandas column keep their order. Strings are sorted, as scikit-learn's
    `LabelEncoder` does it, and booleans are `False` and `True`.

    Examples:
        >>> classes_of(["no", "yes", "no"]).names, classes_of([0, 1, 0])
        (('no', 'yes'), None)
    """
    declared: Any = getattr(getattr(y, "dtype", None), "categories", None)
    if hasattr(declared, "to_list"):
        return Classes(tuple(declared.to_list()), declared=True)
    if isinstance(y, jax.Array):
        return Classes((False, True)) if y.dtype == bool else None
    found = _values(y)
    if found is None or found.dtype.kind in "iufc":
        return None
    values = {value for value in found.ravel().tolist() if not _is_missing(value)}
    if values and all(isinstance(value, bool) for value in values):
        return Classes((False, True))
    if values and all(isinstance(value, str | bytes) for value in values):
        return Classes(tuple(sorted(values)))
    return None


def encode(y: Any, classes: Classes, name: str = "y") -> np.ndarray:
    """Labels as class numbers, in the shape of `y`.

    Class numbers are returned as they are, unless the labels are numbers themselves.

    Args:
        y: labels.
        classes: the classes.
        name: what to call `y` in an error.

    Raises:
        ValueError: a label is missing, or is not one of the classes; the message names it.

    Examples:
        >>> encode(["no", "yes"], Classes(("no", "yes")))
        array([0, 1], dtype=int32)
    """
    found = _values(y)
    if found is None or (found.dtype.kind in "iuf" and not _are_numbers(classes)):
        return np.asarray(array_of(y, name))
    numbers = {label: number for number, label in enumerate(classes.names)}
    flat = found.ravel().tolist()
    made = np.array([numbers.get(label, -1) for label in flat], np.int32).reshape(found.shape)
    wrong = np.argwhere(made < 0)
    if wrong.size:
        label = found[tuple(wrong[0])]
        if _is_missing(label):
            raise ValueError(
                f"The label of `{name}` in row {wrong[0][0]} is missing. Drop such rows, or fill "
                "them with any label and mask them in a likelihood function with "
                "`distribution.mask(...)`."
            )
        raise ValueError(
            f"`{name}` in row {wrong[0][0]} is {label!r}, which is not one of the classes that the "
            f"model was wrapped with: {in_words(classes)}."
        )
    return made


def read(y: Any, classes: Classes | None, name: str = "y") -> Any:
    """Targets as an array of numbers: labels of known classes, or see `array_of`."""
    return array_of(y, name) if classes is None else encode(y, classes, name)


def in_words(classes: Classes) -> str:
    """The labels, the first few of them."""
    return names(map(repr, classes.names), most=10)


def _values(y: Any) -> np.ndarray | None:
    """The labels as an array; `None` if `y` is not one."""
    columns = columns_of(y)
    try:
        if columns is not None:
            return np.stack([np.asarray(y[column]) for column in columns], -1)
        return None if isinstance(y, np.ma.MaskedArray) else np.asarray(y)
    except ValueError:  # rows of different lengths
        return None


def _are_numbers(classes: Classes) -> bool:
    return all(isinstance(label, int | float) for label in classes.names) and (
        classes.names != (False, True)
    )


def _is_missing(label: Any) -> bool:
    """`None`, NaN, or the missing values of pandas."""
    nan = isinstance(label, float) and label != label
    return label is None or nan or type(label).__name__ in ("NAType", "NaTType")
