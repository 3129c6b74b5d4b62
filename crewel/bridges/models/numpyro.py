"""NumPyro models: NumPyro itself gives latents, supports and shapes; arrays stay arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jax.tree_util import Partial

from crewel.bridges.numpyro_sites import check, check_shape, is_datum, is_factor, is_latent
from crewel.core.compiling import Frozen, thaw
from crewel.core.protocol import Data, Key, Params, Position, PyTree, Transform
from crewel.core.warning import warn
from crewel.model import Model
from crewel.posterior.simulate import Simulation

_NOT_TRACEABLE = (
    jax.errors.ConcretizationTypeError,
    jax.errors.NonConcreteBooleanIndexError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
)


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["arrays", "fixed"],
    meta_fields=["code", "latents"],
)
@dataclass(frozen=True)
class _Program:
    """A model function with its arguments: arrays are leaves, everything else is structure.

    Attributes:
        arrays: the arrays among the arguments.
        fixed: values of the `numpyro.param` sites; they have no prior, so no sampler moves them.
        code: the function and its other arguments, see `crewel.core.compiling.Frozen`.
        latents: names of the sites that are sampled.
    """

    arrays: list[Any]
    fixed: dict[str, Any]
    code: Any
    latents: tuple[str, ...] = ()

    def bound(
        self, params: Params, key: Key | int = 0
    ) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
        """The model with `params` substituted, and its arguments."""
        from numpyro import handlers

        parts = thaw(self.code, self.arrays)
        values = self.fixed | {name: params[name] for name in self.latents if name in params}
        model = handlers.seed(handlers.substitute(parts["fn"], data=values), key)
        return model, parts["args"], parts["kwargs"]

    def trace(self, params: Params, key: Key | int = 0) -> dict[str, Any]:
        """Every site of one run."""
        from numpyro import handlers

        model, args, kwargs = self.bound(params, key)
        return handlers.trace(model).get_trace(*args, **kwargs)


def _feasible(program: _Program) -> dict[str, Any]:
    """A run whose latents are in the middle of their supports."""
    from numpyro import handlers
    from numpyro.infer import init_to_feasible

    model, args, kwargs = program.bound({})
    model = handlers.substitute(model, substitute_fn=init_to_feasible)
    return handlers.trace(model).get_trace(*args, **kwargs)


@jax.jit
def _example(program: _Program) -> tuple[dict[str, Any], dict[str, Any]]:
    """The latents in the middle of their supports, and the values of `numpyro.param` sites."""
    sites = _feasible(program)
    fixed = {name: site["value"] for name, site in sites.items() if site["type"] == "param"}
    return {name: sites[name]["value"] for name in program.latents}, fixed


def _log_joint(program: _Program, params: Params) -> jax.Array:
    from numpyro.infer.util import log_density

    return jnp.asarray(log_density(*program.bound({}), params)[0])


def _log_prior(program: _Program, params: Params) -> jax.Array:
    sites = program.trace(params)
    each = (jnp.sum(sites[n]["fn"].log_prob(params[n])) for n in program.latents)
    return jnp.asarray(sum(each))


def _pointwise(program: _Program, params: Params) -> dict[str, jax.Array]:
    return {
        name: site["fn"].log_prob(site["value"])
        for name, site in program.trace(params).items()
        if is_datum(site)
    }


def _log_likelihood(program: _Program, params: Params, batch: Data = None) -> jax.Array:
    return jnp.concatenate([jnp.ravel(v) for v in _pointwise(program, params).values()])


def _run(program: _Program, params: Params, key: Key) -> dict[str, Any]:
    """What the model generates; observed sites are drawn anew."""
    model_key, data_key = jax.random.split(key)
    made = {}
    for i, (name, site) in enumerate(program.trace(params, model_key).items()):
        if site["type"] == "deterministic":
            made[name] = site["value"]
        elif is_datum(site):
            made[name] = site["fn"].sample(jax.random.fold_in(data_key, i))
        elif site["type"] == "sample" and name not in program.latents and not is_factor(site):
            made[name] = site["value"]
    return made


def _sample_prior(program: _Program, key: Key) -> dict[str, Any]:
    sites = program.trace({}, key)
    return {name: sites[name]["value"] for name in program.latents}


def _forward(program: _Program, u: Position) -> dict[str, Any]:
    from numpyro.infer.util import constrain_fn

    return constrain_fn(*program.bound({}), u)


def _inverse(program: _Program, params: Params) -> dict[str, Any]:
    from numpyro.infer.util import unconstrain_fn

    return unconstrain_fn(*program.bound({}), params)


def _log_det(program: _Program, u: Position) -> jax.Array:
    from numpyro.infer.util import get_transforms

    params = _forward(program, u)
    found = get_transforms(*program.bound({}), params)
    each = (found[n].log_abs_det_jacobian(u[n], params[n]) for n in program.latents)
    return jnp.asarray(sum(map(jnp.sum, each)))


class _Sites(NamedTuple):
    """What a run of the program shows.

    Attributes:
        supports: of the latents, by name.
        constant: whether the supports depend on nothing.
        parts: whether the prior and the likelihood can be separated.
        observed: whether there is any observed site or factor.
    """

    supports: dict[str, Any]
    constant: bool
    parts: bool
    observed: bool


def _look(program: _Program) -> _Sites:
    """The sites of the program."""
    found: dict[str, Any] = {}

    def look(program: PyTree):
        from numpyro.distributions import biject_to

        sites = _feasible(program)
        for name, site in sites.items():
            check(name, site)
            if is_datum(site):
                check_shape(name, site)
        found["supports"] = {n: s["fn"].support for n, s in sites.items() if is_latent(s)}
        leaves = jax.tree.leaves([biject_to(s) for s in found["supports"].values()])
        found["constant"] = not any(isinstance(leaf, Tracer) for leaf in leaves)
        samples = [site for site in sites.values() if site["type"] == "sample"]
        found["observed"] = any(site["is_observed"] for site in samples)
        found["parts"] = any(map(is_datum, samples)) and not any(
            is_factor(site) or site["scale"] is not None for site in samples
        )

    try:
        jax.eval_shape(look, program)
    except _NOT_TRACEABLE as error:
        raise TypeError(
            "The model needs the value of an array argument to decide on a shape or a branch, but "
            "arrays are inputs of the compiled program. Pass that argument as a Python number or "
            "string, `int(n)`, or make it part of the program: compute it outside, or bind it with "
            f"`functools.partial(model, argument=value)`. {error}"
        ) from error
    return _Sites(**found)


def _has_prior(program: _Program) -> bool:
    try:
        jax.eval_shape(_sample_prior, program, jax.random.key(0))
    except NotImplementedError:  # `ImproperUniform` cannot be sampled
        return False
    return True


def _rebind(program: _Program, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> _Program:
    fn = thaw(program.code, program.arrays)["fn"]
    frozen = Frozen({"fn": fn, "args": args, "kwargs": kwargs}, "Argument")
    return replace(program, arrays=frozen.arrays, code=frozen.static)


def model(
    fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], initial_state: Any
) -> Model:
    """See `crewel.Model.from_numpyro`."""
    if not callable(fn):
        raise TypeError(
            f"`from_numpyro` needs a function of NumPyro statements, got a {type(fn).__name__}."
        )
    try:
        frozen = Frozen({"fn": fn, "args": args, "kwargs": kwargs}, "Argument")
    except TypeError as error:
        raise TypeError(
            f"{error} Pass the columns of a data frame as arrays, `frame['x'].to_numpy()`; bind "
            "any other object to the model with `functools.partial(model, argument=value)`, so "
            "that it is part of the program."
        ) from None
    program = jax.tree.map(jnp.asarray, _Program(frozen.arrays, {}, frozen.static))
    supports, constant, parts, observed = _look(program)
    if not supports:
        raise ValueError(
            "The NumPyro model has no latent site: every `numpyro.sample` is observed. Pass "
            "`obs=` only to the sites of the data."
        )
    if not observed:
        warn(
            "The NumPyro model has no observed site and no factor, so its posterior is its prior. "
            "Pass the data to the argument that `obs=` reads."
        )
    program = replace(program, latents=tuple(supports))
    test_point, fixed = _example(program)
    program = replace(program, fixed=fixed)
    functions = (Partial(f, program) for f in (_forward, _inverse, _log_det))
    return Model(
        Partial(_log_joint, program),
        test_point,
        supports if constant else Transform(*functions),
        initial_state="uniform" if initial_state is None else initial_state,
        log_prior=Partial(_log_prior, program) if parts else None,
        log_likelihood=Partial(_log_likelihood, program) if parts else None,
        initializers={"prior": Partial(_sample_prior, program)} if _has_prior(program) else {},
        predictive=Simulation(program, _run, _pointwise, _rebind),
    )
