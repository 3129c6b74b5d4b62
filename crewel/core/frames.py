"""Arrays of numbers from what a user has: arrays, lists, and data frames with named columns.

Data frames are recognized by what they have (`columns`), so neither pandas nor polars is imported.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from crewel.core.target import PyTree
from crewel.core.trees import leaf_paths

Columns: TypeAlias = tuple[Any, ...]  # names, usually strings


def columns_of(value: Any) -> Columns | None:
    """The names of the columns of a data frame; `None` for anything else.

    Examples:
        >>> import numpy as np
        >>> columns_of(np.zeros((2, 3))) is None
        True
    """
    is_frame = hasattr(value, "columns") and hasattr(value, "to_numpy")
    return tuple(value.columns) if is_frame else None


def array_of(value: Any, name: str, order: Columns | None = None) -> Any:
    """One leaf of `x` or `y` as an array of numbers.

    Args:
        value: an array, a number, or a data frame.
        name: what to call it in an error.
        order: the columns of a data frame in the order that is wanted; by default its own.

    Returns:
        An array, on the device or on the host.

    Raises:
        TypeError: the values are not real numbers.
        ValueError: values are masked, or columns are called the same.
    """
    columns = columns_of(value)
    if columns is not None:
        return _frame(value, columns, name, columns if order is None else order)
    if isinstance(value, np.ma.MaskedArray):
        if np.ma.is_masked(value):
            raise ValueError(
                f"`{name}` is a masked array with {int(np.ma.getmaskarray(value).sum())} masked "
                "values, which would be used as if they were observed. Drop those rows, or fill "
                "them with any valid number and mask them in a likelihood function with "
                "`distribution.mask(...)`."
            )
        value = value.data
    if not isinstance(value, jax.Array):
        try:
            value = np.asarray(value)
        except ValueError as error:
            raise TypeError(
                f"`{name}` is not an array: its rows differ in length. Pad them to one length."
            ) from error
    kind = value.dtype.kind
    if kind == "c":
        raise TypeError(
            f"`{name}` is complex; networks here take real numbers. Give the real and the "
            "imaginary part as separate features: `numpy.stack([x.real, x.imag], -1)`."
        )
    if kind in "US" or (kind == "O" and value.size and isinstance(np.ravel(value)[0], str)):
        classes = (
            " For labels of classes, wrap the model with them and a likelihood of classes, such as "
            f'`"categorical"`, or number them: `classes, {name} = numpy.unique({name}, '
            "return_inverse=True)`."
        )
        raise TypeError(f"`{name}` holds strings; pass numbers.{classes if name == 'y' else ''}")
    if kind != "b" and not jnp.issubdtype(value.dtype, jnp.number):
        raise TypeError(
            f"`{name}` has dtype {value.dtype}, which is not a number. Convert it, for example "
            f"`{name}.astype(float)`; rows of different lengths must be padded to one length."
        )
    return value


def arrays_of(tree: PyTree, name: str) -> PyTree:
    """A pytree with every leaf as an array of numbers; see `array_of`."""
    leaves, structure = jax.tree.flatten(tree)
    made = (array_of(leaf, each) for leaf, each in zip(leaves, names_of(tree, name), strict=True))
    return jax.tree.unflatten(structure, list(made))


def names_of(tree: PyTree, name: str) -> list[str]:
    """What to call the leaves in errors: `x`, or `x.left` and `x.right`."""
    paths = leaf_paths(tree)
    return [name] if paths == ["value"] else [f"{name}.{path}" for path in paths]


def _frame(frame: Any, columns: Columns, name: str, order: Columns) -> np.ndarray:
    twice = [column for column in columns if columns.count(column) > 1]
    if twice:
        raise ValueError(f"`{name}` has two columns called {twice[0]!r}. Rename one of them.")
    wrong = {
        column: str(frame[column].dtype) for column in columns if not _is_number(frame, column)
    }
    if wrong:
        listed = ", ".join(f"{column!r} ({dtype})" for column, dtype in wrong.items())
        raise TypeError(
            f"`{name}` has columns that are not numbers: {listed}. Drop them or encode them, for "
            "example with `pandas.get_dummies`."
        )
    values = np.stack([np.asarray(frame[column]) for column in order], axis=-1)
    # A frame of nullable integers, or of booleans and floats, becomes objects.
    return values.astype(float) if values.dtype.kind == "O" else values


def _is_number(frame: Any, column: Any) -> bool:
    series = frame[column]
    kind = getattr(series.dtype, "kind", None)  # pandas' dtypes have one, polars' do not
    return (np.asarray(series).dtype.kind if kind is None else kind) in "biuf"


def same_index(x: PyTree, y: Any, name: str = "y") -> None:
    """Refuse a `y` whose index differs from that of a frame in `x`.

    Args:
        x: the rows.
        y: what is paired with them.
        name: what to call it in the error.

    Raises:
        ValueError: it does.
    """
    index = _index_of(y)
    for leaf in jax.tree.leaves(x):
        other = _index_of(leaf)
        if index is None or other is None or index.equals(other):
            continue
        raise ValueError(
            f"`{name}` has another index than `x`, and rows are paired by position, not by index. "
            f"Align them, `{name}.loc[x.index]`, or pass `{name}.to_numpy()` if the positions are "
            "right."
        )


def _index_of(value: Any) -> Any:
    """The index of a pandas frame or series; lists have an `index` too, which is a method."""
    index = getattr(value, "index", None)
    return index if hasattr(index, "equals") else None
