"""PyMC models, as the JAX functions that PyMC itself turns them into."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from crewel.core.precision import is_double
from crewel.core.protocol import Data, Key, Params, Position, PyTree, Transform
from crewel.model import Model
from crewel.posterior.simulate import Simulation


@contextmanager
def _unchanged():
    """Keep the user's `XLA_FLAGS` and 64-bit mode, which importing PyMC's JAX module changes."""
    jax.devices()  # once JAX has started, the flags have no effect on this process
    flags = os.environ.get("XLA_FLAGS")
    double = is_double()
    try:
        yield
    finally:
        if flags is None:
            os.environ.pop("XLA_FLAGS", None)
        else:
            os.environ["XLA_FLAGS"] = flags
        jax.config.update("jax_enable_x64", double)


def _function(inputs: Sequence[Any], outputs: Sequence[Any]) -> Callable[..., list[Any]]:
    """Turn PyTensor's variables into a JAX function of a dict of values by name."""
    from pymc.sampling.jax import get_jaxified_graph

    graph = get_jaxified_graph(inputs=list(inputs), outputs=list(outputs))
    names = [variable.name for variable in inputs]

    def call(values: dict[str, Any]) -> list[Any]:
        with warnings.catch_warnings():
            # The graph asks for float64 everywhere; in 32-bit mode every operation warns of it.
            warnings.filterwarnings("ignore", message="Explicitly requested dtype")
            return list(graph(*(values[name] for name in names)) or ())

    return call


def _transform(pm_model: Any) -> Transform:
    """PyMC's own transforms; their bounds may depend on other variables."""
    from pytensor.graph.replace import clone_replace

    rvs = pm_model.free_RVs
    names = [rv.name for rv in rvs]
    inside = [pm_model.rvs_to_values[rv] for rv in rvs]
    outside = [rv.type(f"{rv.name} constrained") for rv in rvs]
    unconstrained, log_dets = [], []
    for rv, u, x in zip(rvs, inside, outside, strict=True):
        transform = pm_model.rvs_to_transforms[rv]
        if transform is None:
            unconstrained.append(x)
        else:
            unconstrained.append(transform.forward(x, *rv.owner.inputs))
            log_dets.append(transform.log_jac_det(u, *rv.owner.inputs).sum())
    values = dict(zip(rvs, outside, strict=True))
    constrain = _function(inside, pm_model.replace_rvs_by_values(rvs))
    unconstrain = _function(outside, clone_replace(unconstrained, values))
    log_jacobian = _function([*inside, *outside], clone_replace(log_dets, values))
    into = {name: u.name for name, u in zip(names, inside, strict=True)}
    out_of = {name: x.name for name, x in zip(names, outside, strict=True)}

    def forward(u: Position):
        return dict(zip(names, constrain({into[n]: u[n] for n in names}), strict=True))

    def inverse(params: Params):
        made = unconstrain({out_of[n]: params[n] for n in names})
        return dict(zip(names, made, strict=True))

    def log_det(u: Position):
        params = forward(u)
        given = {into[n]: u[n] for n in names} | {out_of[n]: params[n] for n in names}
        return sum(log_jacobian(given), jnp.zeros(()))

    return Transform(Partial(forward), Partial(inverse), Partial(log_det))


def _no_run(program: PyTree, params: Params, key: Key) -> dict[str, Any]:
    raise ValueError(
        "Predictions of a PyMC model are PyMC's: use "
        "`pymc.sample_posterior_predictive(post.to_datatree(), model=pm_model)`."
    )


def _pointwise(program: PyTree, params: Params) -> dict[str, Any]:
    return program(params)


def model(pm_model: Any, initial_state: Any) -> Model:
    """See `crewel.Model.from_pymc`."""
    if not hasattr(pm_model, "free_RVs"):
        raise TypeError(f"`from_pymc` needs a `pymc.Model`, got a {type(pm_model).__name__}.")
    discrete = [pm_model.values_to_rvs[value].name for value in pm_model.discrete_value_vars]
    if discrete:
        raise ValueError(
            f"The PyMC variables {', '.join(f'`{name}`' for name in discrete)} are discrete and "
            "not observed, but gradients need continuous variables. Sum them out, for instance "
            "with `pymc_extras.marginalize`."
        )
    with _unchanged():
        from pymc.model.transform.conditioning import remove_value_transforms

        plain = remove_value_transforms(pm_model)
        names = {variable.name: rv.name for variable, rv in plain.values_to_rvs.items()}
        observed = [rv.name for rv in plain.observed_RVs]
        joint = _function(plain.value_vars, [plain.logp()])
        prior = _function(plain.value_vars, [plain.logp(vars=plain.free_RVs)])
        each = _function(plain.value_vars, plain.logp(vars=plain.observed_RVs, sum=False))
        transform = _transform(pm_model)
        point = plain.initial_point()
    inputs = [v.name for v in plain.value_vars]

    def given(params: Params) -> dict[str, jax.Array]:
        return {name: params[names[name]] for name in inputs}

    def pointwise(params: Params) -> dict[str, jax.Array]:
        return dict(zip(observed, each(given(params)), strict=True))

    def log_likelihood(params: Params, batch: Data = None) -> jax.Array:
        return jnp.concatenate([jnp.ravel(v) for v in pointwise(params).values()])

    parts = bool(observed) and not plain.potentials
    return Model(
        lambda params: joint(given(params))[0],
        {names[name]: jnp.asarray(point[name], float) for name in inputs},
        transform,
        initial_state="uniform" if initial_state is None else initial_state,
        log_prior=(lambda params: prior(given(params))[0]) if parts else None,
        log_likelihood=log_likelihood if parts else None,
        predictive=Simulation(Partial(pointwise), _no_run, _pointwise),
    )
