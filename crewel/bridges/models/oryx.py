"""Probabilistic programs written in Oryx: the named random values are the parameters."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Generator, Hashable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, JaxprEqn
from jax.tree_util import Partial

from crewel.core.compiling import Frozen, thaw
from crewel.core.jaxprs import Body, bodies, equations
from crewel.core.protocol import Data, Key, Params
from crewel.core.trees import leaf_paths
from crewel.model import Model
from crewel.posterior.simulate import Simulation

_RANDOM = "random_variable"  # Oryx's primitive

_lock = threading.RLock()  # held to move an entry and to count, never while a program is traced
_users: Counter[Hashable] = Counter()
_removed: dict[Hashable, Any] = {}  # entries that are out of their table


@contextmanager
def _without(table: dict[Any, Any], key: Hashable) -> Generator[None, None, None]:
    """Keep an entry out of a table that all threads share, while any of them is inside.

    The first thread to enter removes the entry, and the last one to leave puts it back. Uses may
    be nested, and an exception counts as leaving. A key must not be used with two tables.
    """
    with _lock:
        if key in table:
            _removed[key] = table.pop(key)
        _users[key] += 1
    try:
        yield
    finally:
        with _lock:
            _users[key] -= 1
            if not _users[key]:
                del _users[key]
                if key in _removed:
                    table[key] = _removed.pop(key)


@contextmanager
def _oryx() -> Generator[Any, None, None]:
    """Oryx's `ppl`, with Oryx's own rule for `jax.vmap` in force.

    Oryx 0.2.9 has two rules for random variables under `vmap`: its own, and a general one that
    replaces them by their sampling code and so loses their density without an error. JAX 0.5
    tries the general one first, and even for what is not mapped, so the weights of a network that
    is mapped over rows would have no prior. JAX finds rules by primitive in one table and offers
    no other way to choose, so the general rule is removed while a program is traced.
    """
    try:
        from oryx.core import ppl
        from oryx.distributions.distribution_extensions import random_variable_p
    except (ImportError, AttributeError) as error:  # on JAX from 0.6 on, `import oryx` fails so
        raise ImportError(
            "Oryx is missing or cannot be imported. Its last release, 0.2.9, needs JAX 0.5 or "
            f"older (this is {jax.__version__}). Use a separate environment on Python 3.11: "
            "pip install 'crewel[oryx]'. That extra cannot be combined with `crewel[all]`. To stay "
            "in this environment, write the model in NumPyro: `Model.from_numpyro`."
        ) from error
    from jax.interpreters import batching

    with _without(batching.fancy_primitive_batchers, random_variable_p):
        yield ppl


@partial(jax.tree_util.register_dataclass, data_fields=["arrays", "observed"], meta_fields=["code"])
@dataclass(frozen=True)
class _Program:
    """A program with its arguments: arrays are leaves, and the rest is structure.

    Attributes:
        arrays: the arrays among the arguments.
        observed: values by name, nested by scope.
        code: the function and its other arguments, see `crewel.core.compiling.Frozen`.
    """

    arrays: list[Any]
    observed: dict[str, Any]
    code: Any

    def parts(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """The function and its arguments after the key."""
        found = thaw(self.code, self.arrays)
        return found["fn"], found["args"]


def _merge(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two nested dicts."""
    both = {k: _merge(one[k], other[k]) for k in one if k in other and isinstance(one[k], Mapping)}
    return {**one, **other, **both}


def _less(sample: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    """A nested dict without the names in another, and without scopes that this leaves empty."""
    left = {
        k: _less(v, names[k]) if k in names and isinstance(v, Mapping) else v
        for k, v in sample.items()
        if k not in names or isinstance(v, Mapping)
    }
    return {k: v for k, v in left.items() if not isinstance(v, Mapping) or v}


def _log_joint(program: _Program, params: Params) -> jax.Array:
    fn, args = program.parts()
    with _oryx() as ppl:
        return ppl.joint_log_prob(fn)(_merge(params, program.observed), *args)


def _log_prior(program: _Program, params: Params) -> jax.Array:
    fn, args = program.parts()
    with _oryx() as ppl:
        return ppl.joint_log_prob(ppl.intervene(fn, **program.observed))(params, *args)


def _log_likelihood(program: _Program, params: Params, batch: Data = None) -> jax.Array:
    fn, args = program.parts()
    with _oryx() as ppl:
        value = ppl.joint_log_prob(ppl.intervene(fn, **params))(program.observed, *args)
    return jnp.reshape(value, (1,))


def _pointwise(program: _Program, params: Params) -> dict[str, Any]:
    raise ValueError(
        "Oryx gives the log likelihood of all data at once, and `log_likelihood` needs one value "
        "per datum. Evaluate the likelihood's `log_prob` over `post.draws`."
    )


def _sample(program: _Program, key: Key) -> dict[str, Any]:
    fn, args = program.parts()
    with _oryx() as ppl:
        return _less(ppl.joint_sample(fn)(key, *args), program.observed)


def _run(program: _Program, params: Params, key: Key) -> dict[str, Any]:
    """The random values that are not parameters, and the program's return value as `output`."""
    fn, args = program.parts()
    with _oryx() as ppl:
        output, made = ppl.trace(ppl.intervene(fn, **params))(key, *args)
    return {**made, "output": output}


def _rebind(program: _Program, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> _Program:
    if kwargs:
        raise TypeError(
            f"An Oryx program takes no keywords, got {', '.join(kwargs)}. Pass the new arguments "
            "by position."
        )
    frozen = Frozen({"fn": program.parts()[0], "args": args}, "Argument")
    return replace(program, arrays=frozen.arrays, code=frozen.static)


def _random_values(program: ClosedJaxpr) -> int:
    """How many values a traced program draws from distributions whose density Oryx knows."""

    def within(eqn: JaxprEqn) -> list[Body]:
        return [] if eqn.primitive.name == _RANDOM else bodies(eqn)

    found = (eqn for eqn in equations(program, within) if eqn.primitive.name == _RANDOM)
    return sum(len(eqn.outvars) for eqn in found)


def _names(fn: Callable[..., Any], args: tuple[Any, ...]) -> list[str]:
    """The names of the program's random variables.

    Raises:
        ValueError: Oryx knows the density of fewer values than the program names.
    """
    with _oryx() as ppl:
        jaxpr, sample = jax.make_jaxpr(ppl.joint_sample(fn), return_shape=True)(
            jax.random.key(0), *args
        )
    names, known = leaf_paths(sample), _random_values(jaxpr)
    if known < len(names):
        raise ValueError(
            f"The program names {len(names)} values, {', '.join(f'`{n}`' for n in names)}, and "
            f"Oryx knows the density of {known} of them. Name only what is drawn from a "
            "distribution of `oryx.distributions`: not `jax.random.normal`, and not a function of "
            "other values."
        )
    return names


def model(
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    observed: Mapping[str, Any],
    transform_fn: Any,
    initial_state: Any,
) -> Model:
    """See `crewel.Model.from_oryx`."""
    names = _names(fn, args)
    unknown = sorted(set(leaf_paths(observed)) - set(names))
    if unknown:
        raise ValueError(
            f"`observed` has {', '.join(f'`{n}`' for n in unknown)}, which the program does not "
            f"name. Its random variables are {', '.join(f'`{n}`' for n in names)}."
        )
    frozen = Frozen({"fn": fn, "args": args}, "Argument")
    program = _Program(frozen.arrays, dict(observed), frozen.static)
    program = jax.tree.map(jnp.asarray, program)
    return Model(
        Partial(_log_joint, program),
        jax.jit(_sample)(program, jax.random.key(0)),
        transform_fn,
        initial_state=initial_state,
        log_prior=Partial(_log_prior, program),
        log_likelihood=Partial(_log_likelihood, program),
        initializers={"prior": Partial(_sample, program)},
        predictive=Simulation(program, _run, _pointwise, _rebind),
    )
