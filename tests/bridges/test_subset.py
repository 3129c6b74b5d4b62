"""Networks of which a part is Bayesian."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from flax import linen as nn
from flax import nnx
from jax.example_libraries import stax
from support.networks import (
    HAIKU,
    HIDDEN,
    LIBRARIES,
    Linen,
    Nnx,
    cases,
    data,
    eqx_net,
    outputs,
    plain,
    posterior_of,
    weights,
    wrapped,
)

import crewel as cw
from crewel.core.trees import leaf_paths, named_leaves


def test_last_is_the_layer_that_meets_the_data_last():
    x, y = data()

    class Upside(nn.Module):
        @nn.compact
        def __call__(self, x):
            h = nn.LayerNorm(name="z")(nn.Dense(HIDDEN, name="y")(x))
            return nn.Dense(1, name="a")(nn.relu(h))

    deep = [stax.Dense(2), stax.Tanh] * 6 + [stax.Dense(1)]
    for network, paths in (
        (Upside(), ["a.bias", "a.kernel"]),
        (stax.serial(*deep), ["network.12.0", "network.12.1"]),
        (HAIKU, ["mlp.linear_1.b", "mlp.linear_1.w"]),
        (eqx_net(), ["layers.1.bias", "layers.1.weight"]),
        (Nnx(nnx.Rngs(0)), ["out.bias", "out.kernel"]),
        (nn.Sequential([nn.Dense(3), jnp.tanh, nn.Dense(1)]), ["layers_2.bias", "layers_2.kernel"]),
        (
            nn.Sequential([nn.RNN(nn.LSTMCell(3)), nn.Dense(1)]),
            ["layers_1.bias", "layers_1.kernel"],
        ),
    ):
        rows = x[:, :, None] if isinstance(network, nn.Sequential) and "RNN" in str(network) else x
        likelihood = lambda out, p: dist.Normal(out.reshape(len(out), -1)[:, 0], p["sigma"])  # noqa: E731
        model = cw.wrap(
            network,
            rows,
            y,
            likelihood=likelihood,
            bayesian="last",
            latents={"sigma": dist.HalfNormal(1.0)},
        )
        assert [path for path in leaf_paths(model.test_point) if path != "sigma"] == paths


@pytest.mark.parametrize("name", LIBRARIES)
def test_the_rest_keeps_its_values(name):
    x, y = data()
    w = weights()
    case = cases(w)[name]
    patterns = list(case.paths[2:])
    model = wrapped(
        case, x, y, bayesian=patterns, prior={pattern: dist.Normal(0, 2) for pattern in patterns}
    )
    assert set(leaf_paths(model.test_point)) == {*patterns, "sigma"}
    assert set(model.priors.priors) == {*patterns, "sigma"}
    post = posterior_of(model)
    named = named_leaves(jax.tree.map(lambda leaf: leaf[1, 2], post.draws))
    w2, b2 = (named[path] for path in patterns)
    w2 = w2.T if case.transposed else w2
    expected = plain({**w, "w2": w2, "b2": b2}, x)
    np.testing.assert_allclose(outputs(post, x)[1, 2], expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(case.predict(post.network(1, 2), x), expected, rtol=1e-5, atol=1e-5)
    p = model.test_point
    density = model.log_density(p)
    prior = sum(dist.Normal(0, 2).log_prob(w[leaf]).sum() for leaf in ("w2", "b2"))
    prior += dist.HalfNormal(1.0).log_prob(p["sigma"])
    likelihood = dist.Normal(plain(w, x)[:, 0], p["sigma"]).log_prob(y).sum()
    np.testing.assert_allclose(density, prior + likelihood, rtol=1e-5)


def test_partly_bayesian_networks_start_at_their_own_initialisations():
    x, y = data()
    model = cw.wrap(Linen(), x, y, likelihood="gaussian", bayesian="out.*")
    start = model.initializers["network"](jax.random.key(0))
    assert leaf_paths(start) == ["out.bias", "out.kernel", "sigma"]


def test_patterns_of_the_bayesian_part_are_strict():
    x, y = data()
    with pytest.raises(
        ValueError, match=r"pattern in `bayesian` `Dense.\*` matches no(.|\n)*out.kernel"
    ):
        cw.wrap(Linen(), x, y, likelihood="gaussian", bayesian="Dense.*")
    with pytest.raises(ValueError, match="no layer is clearly the last"):
        cw.wrap(plain, x, y, likelihood="gaussian", example=weights(), bayesian="last")


def test_fixed_parameters_may_be_integers_and_sampled_ones_may_not():
    x, y = data()
    example = {"shift": jnp.arange(4), "w": jnp.zeros((4, 1))}

    def apply(p, x):
        return (x - p["shift"]) @ p["w"]

    with pytest.raises(TypeError, match="parameter `shift` is of type int32.*`bayesian=`"):
        cw.wrap(apply, x, y, likelihood="gaussian", example=example)
    model = cw.wrap(apply, x, y, likelihood="gaussian", example=example, bayesian="w")
    assert leaf_paths(model.test_point) == ["sigma", "w"]
