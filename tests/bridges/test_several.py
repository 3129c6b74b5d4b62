"""Several networks as one model."""

from __future__ import annotations

import equinox as eqx
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from flax import linen as nn
from support.networks import (
    HIDDEN,
    ROWS,
    Case,
    cases,
    data,
    dense,
    outputs,
    posterior_of,
    weights,
    wrapped,
)

import crewel as cw
from crewel.core.trees import leaf_paths


def chain(networks, x):
    return networks["head"](jnp.tanh(networks["encoder"](x)))


def test_several_networks_of_several_libraries_are_one_model():
    x, y = data()
    w = weights()
    encoder = Case(nn.Dense(HIDDEN), {"params": dense((w["w1"], w["b1"]))}, (), None)
    head = eqx.nn.Linear(HIDDEN, 1, key=jax.random.key(0))
    head = eqx.tree_at(lambda m: (m.weight, m.bias), head, (w["w2"].T, w["b2"]))
    networks = {"encoder": encoder.network, "head": head}
    model = cw.wrap(
        networks, x, y, likelihood="gaussian", combine=chain, example={"encoder": encoder.example}
    )
    assert leaf_paths(model.test_point) == [
        "encoder.bias",
        "encoder.kernel",
        "head.bias",
        "head.weight",
        "sigma",
    ]
    reference = wrapped(cases(w)["function"], x, y)
    p = {**w, "sigma": model.test_point["sigma"]}
    np.testing.assert_allclose(
        model.log_density(model.test_point), reference.log_density(p), rtol=1e-5
    )
    post = posterior_of(model)
    own = post.network(0, 1)
    found = chain(
        {
            "encoder": lambda x: nn.Dense(HIDDEN).apply(own["encoder"], x),
            "head": jax.vmap(own["head"]),
        },
        x,
    )
    np.testing.assert_allclose(found, outputs(post, x)[0, 1], rtol=1e-5, atol=1e-6)
    last = cw.wrap(networks, x, y, likelihood="gaussian", combine=chain, bayesian="last")
    assert leaf_paths(last.test_point) == ["head.bias", "head.weight", "sigma"]


def test_without_combine_the_likelihood_gets_every_output_by_name():
    x, y = data()
    networks = {
        "mean": nn.Dense(1),
        "log_scale": hk.without_apply_rng(hk.transform(lambda x: hk.Linear(1)(x))),
    }

    def likelihood(out, p):
        return dist.Normal(out["mean"][:, 0], jnp.exp(out["log_scale"][:, 0]))

    model = cw.wrap(networks, x, y, likelihood=likelihood)
    p = model.test_point
    mean = x @ p["mean"]["kernel"] + p["mean"]["bias"]
    scale = jnp.exp(x @ p["log_scale"]["linear"]["w"] + p["log_scale"]["linear"]["b"])
    expected = dist.Normal(mean[:, 0], scale[:, 0]).log_prob(y)
    np.testing.assert_allclose(model.predictive.pointwise(p, x, y), expected, rtol=1e-4, atol=1e-4)
    assert list(model.initializers) == ["network", "prior"]
    assert posterior_of(model).predict(x)["predictions"]["outputs.mean"].shape == (2, 3, ROWS, 1)


def test_several_networks_wrong():
    x, y = data()
    networks = {"encoder": nn.Dense(HIDDEN), "head": nn.Dense(1)}
    with pytest.raises(ValueError, match="never calls \\['head'\\]"):
        cw.wrap(networks, x, y, likelihood="gaussian", combine=lambda nets, x: nets["encoder"](x))
    with pytest.raises(TypeError, match="`call` is a dict by their names"):
        cw.wrap(networks, x, y, likelihood="gaussian", combine=chain, call={"train": False})
    with pytest.raises(TypeError, match="pass them as a dict by name"):
        cw.wrap(nn.Dense(1), x, y, likelihood="gaussian", combine=chain)
