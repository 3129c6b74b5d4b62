"""Probabilistic programs of Oryx, with nested scopes: named random values are the parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from crewel.compiling import Frozen, thaw
from crewel.model import Model
from crewel.simulation import Simulation
from crewel.trees import leaf_paths


def _ppl() -> Any:
    try:
        from oryx.core import ppl
    except (ImportError, AttributeError) as error:  # on JAX from 0.6 on, `import oryx` fails so
        raise ImportError(
            "Oryx is missing, or does not import: 0.2.9, its last release, needs JAX up to 0.5 "
            f"(this is {jax.__version__}). Use an environment of its own, on Python 3.11: "
            "pip install 'crewel[oryx]'. That extra cannot be combined with `crewel[all]`. To stay "
            "here, write the model in NumPyro: `Model.from_numpyro`."
        ) from error
    return ppl


@partial(jax.tree_util.register_dataclass, data_fields=["arrays", "observed"], meta_fields=["code"])
@dataclass(frozen=True)
class _Program:
    """A program with its arguments: arrays are leaves, all else is structure.

    Attributes:
        arrays: the arrays among the arguments.
        observed: values by name, nested by scope.
        code: the function and its other arguments, see `crewel.compiling.Frozen`.
    """

    arrays: list[Any]
    observed: dict[str, Any]
    code: Any

    def parts(self) -> tuple[Callable[..., Any], tuple]:
        """The function and its arguments after the key."""
        found = thaw(self.code, self.arrays)
        return found["fn"], found["args"]


def _merge(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Two nested dicts in one."""
    both = {k: _merge(one[k], other[k]) for k in one if k in other and isinstance(one[k], Mapping)}
    return {**one, **other, **both}


def _without(sample: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    """A nested dict less the names in another; scopes left empty go too."""
    left = {
        k: _without(v, names[k]) if k in names and isinstance(v, Mapping) else v
        for k, v in sample.items()
        if k not in names or isinstance(v, Mapping)
    }
    return {k: v for k, v in left.items() if not isinstance(v, Mapping) or v}


def _log_joint(program: _Program, params: Any) -> jax.Array:
    fn, args = program.parts()
    return _ppl().joint_log_prob(fn)(_merge(params, program.observed), *args)


def _log_prior(program: _Program, params: Any) -> jax.Array:
    fn, args = program.parts()
    ppl = _ppl()
    return ppl.joint_log_prob(ppl.intervene(fn, **program.observed))(params, *args)


def _log_likelihood(program: _Program, params: Any, batch: Any = None) -> jax.Array:
    fn, args = program.parts()
    ppl = _ppl()
    value = ppl.joint_log_prob(ppl.intervene(fn, **params))(program.observed, *args)
    return jnp.reshape(value, (1,))


def _pointwise(program: _Program, params: Any) -> dict[str, Any]:
    raise ValueError(
        "Oryx gives the log likelihood of all data at once, and `log_likelihood` needs that of "
        "each datum. Evaluate the likelihood's `log_prob` over `post.draws`."
    )


def _sample(program: _Program, key: Any) -> dict[str, Any]:
    fn, args = program.parts()
    return _without(_ppl().joint_sample(fn)(key, *args), program.observed)


def _run(program: _Program, params: Any, key: Any) -> dict[str, Any]:
    """The random values that are no parameters, and what the program returns, as `output`."""
    fn, args = program.parts()
    ppl = _ppl()
    output, made = ppl.trace(ppl.intervene(fn, **params))(key, *args)
    return {**made, "output": output}


def _rebind(program: _Program, args: tuple, kwargs: dict[str, Any]) -> _Program:
    if kwargs:
        raise TypeError(f"An Oryx program takes no keywords, got {', '.join(kwargs)}.")
    frozen = Frozen({"fn": program.parts()[0], "args": args}, "Argument")
    return replace(program, arrays=frozen.arrays, code=frozen.static)


def model(
    fn: Callable[..., Any],
    args: tuple,
    observed: Mapping[str, Any],
    transform_fn: Any,
    initial_state: Any,
) -> Model:
    """See `crewel.Model.from_oryx`."""
    names = leaf_paths(
        jax.eval_shape(lambda key: _ppl().joint_sample(fn)(key, *args), jax.random.key(0))
    )
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
        samplers={"prior": Partial(_sample, program)},
        simulation=Simulation(program, _run, _pointwise, _rebind),
    )
