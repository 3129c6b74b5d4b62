"""What a row of `x` looks like, remembered so that later inputs can be compared with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from crewel.core.frames import Columns, array_of, columns_of, names_of, same_index
from crewel.core.labels import Classes, read
from crewel.core.protocol import Array, PyTree
from crewel.core.trees import leaf_paths, require_concrete


@dataclass(frozen=True)
class RowFormat:
    """The structure of `x`, and the columns and shapes of its leaves; hashable.

    Attributes:
        structure: of the pytree.
        shapes: of a row of each leaf.
        columns: of each leaf; `None` where it was not a data frame.
    """

    structure: Any
    shapes: tuple[tuple[int, ...], ...]
    columns: tuple[Columns | None, ...]

    @classmethod
    def of(cls, x: PyTree) -> RowFormat:
        """The format of `x` as the user gave it."""
        leaves, structure = jax.tree.flatten(x)
        shapes = tuple(tuple(np.shape(leaf)[1:]) for leaf in leaves)
        return cls(structure, shapes, tuple(map(columns_of, leaves)))

    def read(self, x: PyTree, name: str = "x") -> PyTree:
        """New rows as arrays; the columns of a data frame are put in the order of the first one.

        Raises:
            TypeError: a leaf does not hold real numbers.
            ValueError: the structure, the columns or the number of axes differ, there are no
                rows, or one holds NaN or infinity.
        """
        require_concrete(x, "Predictions")
        leaves, structure = jax.tree.flatten(x)
        if structure != self.structure and isinstance(x, list | tuple):
            raise ValueError(
                f"`{name}` is a {type(x).__name__}, a pytree of its entries: pass an array, "
                f"`numpy.asarray({name})`."
            )
        if structure != self.structure:
            raise ValueError(
                f"`{name}` has another structure than the `x` that the model was wrapped with. Its "
                f"leaves are {leaf_paths(x)}; there should be {len(self.shapes)}, in "
                f"{self.structure}."
            )
        each = zip(names_of(x, name), leaves, self.shapes, self.columns, strict=True)
        made = [_leaf(*leaf) for leaf in each]
        rows = {leaf.shape[0] for leaf in made}
        if len(rows) > 1 or 0 in rows:
            raise ValueError(
                f"`{name}` must have the same number of rows in every leaf, at least one; it has "
                f"{' and '.join(map(str, sorted(rows)))}."
            )
        return jax.tree.unflatten(structure, made)

    @property
    def row_shapes(self) -> PyTree:
        """The shape of a row, for messages."""
        return self.shapes[0] if len(self.shapes) == 1 else self.shapes

    def read_y(self, x: PyTree, y: Any, classes: Classes | None = None) -> Array:
        """Targets of the rows `x`, as an array of numbers; labels are those of `classes`.

        Raises:
            TypeError: they are not numbers.
            ValueError: `y` has another number of rows or another index than `x`, holds NaN, or a
                label that is not among the classes.
        """
        require_concrete((x, y), "Predictions")
        same_index(x, y)
        y = np.atleast_1d(read(y, classes))
        rows = sorted({len(leaf) for leaf in jax.tree.leaves(x) if np.ndim(leaf)})
        if [len(y)] != rows:
            raise ValueError(
                f"`x` has {' or '.join(map(str, rows))} rows and `y` has shape {y.shape}: each row "
                "needs its target."
            )
        require_finite(y, "y")
        return y


def _leaf(name: str, leaf: Any, shape: tuple[int, ...], columns: Columns | None) -> Any:
    found = columns_of(leaf)
    if columns is not None and found is not None and set(found) != set(columns):
        missing = [column for column in columns if column not in found]
        extra = [column for column in found if column not in columns]
        raise ValueError(
            f"`{name}` has other columns than the frame that the model was wrapped with: "
            f"missing {missing}, not known {extra}."
        )
    array = array_of(leaf, name, None if found is None else columns)
    if array.ndim != len(shape) + 1:
        hint = " For a single row, add its axis: `x[None]`." if array.ndim == len(shape) else ""
        raise ValueError(
            f"`{name}` has shape {array.shape}; it needs an axis of rows and then the shape of "
            f"a row, {shape}.{hint}"
        )
    require_finite(array, name)
    return array


def require_finite(array: Array, name: str, hint: str = "") -> None:
    """Refuse NaN and infinity.

    Args:
        array: rows of numbers.
        name: what to call it in the error.
        hint: what else to do about it, with a space before it.

    Raises:
        ValueError: there are some; the message has the first row.
    """
    if not jnp.issubdtype(array.dtype, jnp.floating):
        return
    bad = ~np.isfinite(np.asarray(array, np.float32))
    if bad.any():
        raise ValueError(
            f"`{name}` has {int(bad.sum())} values that are NaN or infinite, the first in row "
            f"{np.argwhere(bad)[0][0]}. Drop or impute those rows.{hint}"
        )
