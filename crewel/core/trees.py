"""Names for the leaves of a pytree, spelled one way everywhere: `Dense_0.kernel`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, overload

import jax
import numpy as np
from jax.core import Tracer
from jax.tree_util import Partial

from crewel.core.functions import code_key
from crewel.core.target import PyTree


class Static:
    """An object as code: always hashable, and equal to another if the objects are equal.

    Modules of network libraries are often unhashable (a list among their fields), and equal to
    any module that is built the same way; one compiled program serves both. So are functions that
    are the same code on the same values, see `crewel.core.functions.code_key`.
    """

    def __init__(self, value: Any):
        """Hold `value`."""
        self.value = value
        self._key = code_key(value)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the object."""
        return self.value(*args, **kwargs)

    def __deepcopy__(self, memo: dict[int, Any]) -> Static:
        """Return itself: code is never changed."""
        return self

    def __hash__(self) -> int:
        """Return a hash that equal objects share: of a function's key, or of the type."""
        return hash(type(self.value) if self._key is None else self._key)

    def __eq__(self, other: object) -> bool:
        """Return whether the objects are identical or compare equal."""
        if not isinstance(other, Static):
            return False
        if self._key is not None or other._key is not None:
            return self._key == other._key
        if self.value is other.value:
            return True
        try:
            return bool(self.value == other.value)
        except Exception:  # fields that are arrays do not compare to a bool: only identity counts
            return False


@overload
def as_partial(fn: None) -> None: ...
@overload
def as_partial(fn: Callable[..., Any]) -> Partial: ...
@overload
def as_partial(fn: Callable[..., Any] | None) -> Partial | None: ...
def as_partial(fn: Callable[..., Any] | None) -> Partial | None:
    """A function as a pytree: its code is structure, and a `Partial` keeps its leaves."""
    return None if fn is None else by_value(fn)


def by_value(fn: Callable[..., Any]) -> Partial:
    """`fn` as a `Partial` that compares by value; a `Partial` keeps its leaves."""
    return fn if isinstance(fn, Partial) else Partial(Static(fn))


def _key_name(key: Any) -> str:
    for attribute in ("key", "name", "idx"):
        if hasattr(key, attribute):
            # Haiku joins scopes with "/~/" and "/", which ArviZ does not allow in a name.
            return str(getattr(key, attribute)).replace("/~/", ".").replace("/", ".").strip(".")
    return str(key).strip(".[]'\"")


def path_str(path: tuple[Any, ...]) -> str:
    """The dotted name of a key path as `jax.tree_util` gives it.

    Examples:
        >>> import jax
        >>> [(path, _)], _ = jax.tree_util.tree_flatten_with_path({"Dense_0": {"bias": 0.0}})
        >>> path_str(path)
        'Dense_0.bias'
    """
    return ".".join(_key_name(key) for key in path) or "value"


def named_leaves(tree: PyTree) -> dict[str, Any]:
    """The leaves of `tree` by dotted name, in flattening order; a bare leaf is called `value`.

    Raises:
        ValueError: two leaves would get the same name.

    Examples:
        >>> named_leaves({"a": {"w": 1.0}, "b": [2.0, 3.0]})
        {'a.w': 1.0, 'b.0': 2.0, 'b.1': 3.0}
    """
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    names = [path_str(path) for path, _ in leaves]
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(
            f"Two leaves would share the name {', '.join(f'`{n}`' for n in twice)}: a key that "
            "contains a dot looks like a nested key. Rename one of them."
        )
    return dict(zip(names, (leaf for _, leaf in leaves), strict=True))


def leaf_paths(tree: PyTree) -> list[str]:
    """The dotted names of the leaves of `tree`, in flattening order.

    Examples:
        >>> leaf_paths({"Dense_0": {"bias": 0.0, "kernel": 0.0}})
        ['Dense_0.bias', 'Dense_0.kernel']
    """
    return list(named_leaves(tree))


def some_rows(tree: PyTree, most: int) -> PyTree:
    """At most `most` rows of all leaves, evenly spaced.

    Examples:
        >>> some_rows(np.arange(10), 4)
        array([0, 3, 6, 9])
    """
    number = jax.tree.leaves(tree)[0].shape[0]
    rows = np.unique(np.linspace(0, number - 1, min(most, number)).round().astype(int))
    return jax.tree.map(lambda leaf: leaf[rows], tree)


def nbytes(tree: PyTree) -> int:
    """Bytes that the arrays (or shape structs) of `tree` take."""
    return sum(int(np.prod(leaf.shape)) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def strong(tree: PyTree) -> PyTree:
    """Arrays without JAX's weak types, so that one compiled program takes them all."""

    def array(leaf: Any) -> jax.Array:
        leaf = jax.numpy.asarray(leaf)
        return jax.lax.convert_element_type(leaf, leaf.dtype)

    return jax.tree.map(array, tree)


def is_traced(tree: PyTree) -> bool:
    """Whether `tree` has traced values, as inside `jax.jit`, `jax.vmap` or `jax.grad`.

    Examples:
        >>> is_traced(1.0)
        False
    """
    return any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(tree))


def require_concrete(tree: PyTree, what: str) -> None:
    """Raise if `tree` has traced values.

    Raises:
        TypeError: it does.
    """
    if is_traced(tree):
        raise TypeError(
            f"{what} cannot be traced, and this is within `jax.jit`, `jax.vmap` or `jax.grad`. "
            "Do this outside, on arrays, and pass in what it returns."
        )


def require_eager(tree: PyTree, what: str) -> None:
    """Raise if `tree` has traced values, or within `jax.jit`, where every new array is one.

    Raises:
        TypeError: it does.
    """
    require_concrete((tree, jax.numpy.zeros(())), what)


def eagerly() -> AbstractContextManager[None]:
    """Within a traced function, compute what is not traced right away; elsewhere, do nothing.

    JAX 0.5 cannot run some compiled functions under `jax.ensure_compile_time_eval`, so it is
    entered only where it is needed.
    """
    return jax.ensure_compile_time_eval() if is_traced(jax.numpy.zeros(())) else nullcontext()
