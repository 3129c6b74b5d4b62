"""When two functions are the same code on the same values, so that they share a compiled program.

A `lambda` in a loop is a new object each time. Its key is what it computes with: its code, its
defaults, and the values of the variables around it, as they are now. A function that uses an object
whose content cannot be read has no key, and equals only itself.
"""

from __future__ import annotations

import enum
import hashlib
import weakref
from collections.abc import Callable, Hashable, Iterator
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from crewel.core.warning import warn

_PLAIN = (int, float, complex, str, bytes, bool, type(None), np.generic, np.dtype, enum.Enum)
# Libraries' own functions and classes, whose identity says what they do.
_NAMED = (type, BuiltinFunctionType, np.ufunc, CodeType)
_MOST = 100  # functions to look into


_objects: dict[CodeType, tuple[int, Callable[[], Any]]] = {}  # functions without a key, by code


class _NoKeyError(Exception):
    """A value has no key."""


def code_key(fn: Any) -> Hashable | None:
    """A key of what a Python function computes; equal keys mean equal results.

    Args:
        fn: any object.

    Returns:
        The key, or `None` if the object is not a plain function or uses something without a key,
        such as an object whose attributes may change.

    Examples:
        >>> fns = [lambda x, scale=scale: scale * x for scale in (1.0, 1.0, 2.0)]
        >>> [code_key(fn) == code_key(fns[0]) for fn in fns]
        [True, True, False]
    """
    if not isinstance(fn, FunctionType):
        return None
    try:
        return _function(fn, {})
    except _NoKeyError as error:
        _remember(fn, str(error))
        return None


def _remember(fn: FunctionType, name: str) -> None:
    """Count the functions of one code that have no key, and warn at the third."""
    number, last = _objects.get(fn.__code__, (0, lambda: None))
    if last() is fn:
        return
    _objects[fn.__code__] = number + 1, weakref.ref(fn)
    if number + 1 == 3:
        code = fn.__code__
        warn(
            f"`{code.co_name}` ({Path(code.co_filename).name}:{code.co_firstlineno}) is a new "
            f"function each time, and uses `{name}`, whose content cannot be compared, so every "
            "run compiles it again. Define the function once, outside the loop; or let it use "
            "numbers and arrays in place of that object."
        )


def _function(fn: FunctionType, seen: dict[int, int]) -> Hashable:
    if id(fn) in seen:  # it calls itself
        return "seen", seen[id(fn)]
    if len(seen) >= _MOST:
        raise _NoKeyError
    seen[id(fn)] = len(seen)
    names = set(_names(fn.__code__))
    around = {name: fn.__globals__[name] for name in sorted(names) if name in fn.__globals__}
    for name, cell in zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True):
        try:
            around[name] = cell.cell_contents
        except ValueError as error:  # it has no value yet
            raise _NoKeyError(name) from error
    around["its defaults"] = fn.__defaults__, fn.__kwdefaults__
    key: list[Hashable] = [fn.__code__]
    for name, value in around.items():
        try:
            key.append((name, _value(value, names, seen)))
        except _NoKeyError as error:
            raise _NoKeyError(str(error) or name) from None
    return tuple(key)


def _names(code: CodeType) -> Iterator[str]:
    """The names that a function reads, of globals and of attributes, with those inside it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _value(value: Any, names: set[str], seen: dict[int, int]) -> Hashable:
    """The key of a value that a function with these `names` uses."""
    if isinstance(value, _PLAIN):
        return type(value), repr(value) if isinstance(value, float | complex) else value
    if isinstance(value, np.ndarray | jax.Array):
        return _array(value)
    if isinstance(value, dict):
        pairs = [(_value(k, names, seen), _value(v, names, seen)) for k, v in value.items()]
        return type(value), tuple(pairs)
    if isinstance(value, tuple | list | set | frozenset):
        return type(value), tuple(_value(part, names, seen) for part in value)
    if isinstance(value, ModuleType):
        held = {name: vars(value)[name] for name in sorted(names) if name in vars(value)}
        numbers = {k: v for k, v in held.items() if isinstance(v, _PLAIN + (np.ndarray, jax.Array))}
        return value.__name__, id(value), _value(numbers, names, seen)
    if isinstance(value, FunctionType):
        return _function(value, seen)
    if isinstance(value, _NAMED) or _is_jitted(value):
        return value
    if jax.tree_util.all_leaves([value]):
        raise _NoKeyError
    leaves, structure = jax.tree.flatten(value)  # a distribution, or a module of Equinox
    try:
        return hash(structure), structure, *(_value(leaf, names, seen) for leaf in leaves)
    except TypeError as error:
        raise _NoKeyError from error


def _array(value: Any) -> Hashable:
    if isinstance(value, Tracer) or (
        isinstance(value, jax.Array) and not value.is_fully_addressable
    ):
        raise _NoKeyError
    if jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        value = jax.random.key_data(value)
    held = np.asarray(value)
    if held.dtype.hasobject:
        raise _NoKeyError
    weak = bool(getattr(value, "weak_type", False))
    digest = hashlib.blake2b(np.ascontiguousarray(held).tobytes(), digest_size=16).hexdigest()
    return type(value), held.shape, held.dtype.str, weak, digest


def _is_jitted(value: Any) -> bool:
    """Whether it is a function of JAX's own modules, compiled or with a derivative of its own."""
    return str(getattr(value, "__module__", "")).startswith("jax") and callable(value)
