"""Batch statistics: frozen or per draw, in every library that has them."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx
from support.networks import Linen, data, normal, outputs, posterior_of
from support.norms import NORMS, EqxNorm, NnxNorm, OwnFlag, norm_nnx, norm_outputs, wrap_linen

import crewel as cw
from crewel.core.trees import leaf_paths, named_leaves


def test_an_nnx_module_is_never_changed():
    x, y = data()
    net = NnxNorm(nnx.Rngs(0))
    before = jax.tree.map(np.asarray, nnx.to_pure_dict(nnx.state(net, nnx.Not(nnx.RngKey))))
    post = posterior_of(
        cw.wrap(net, x, y, likelihood="gaussian", batch_stats="per_draw", dropout=0)
    )
    outputs(post, x)
    post.network(0, 0)(x)
    after = nnx.to_pure_dict(nnx.state(net, nnx.Not(nnx.RngKey)))
    jax.tree.map(np.testing.assert_array_equal, before, after)
    assert not net.norm.use_running_average
    assert net.norm.momentum == 0.99
    assert not net.drop.deterministic


@pytest.mark.parametrize("batch_stats", ["frozen", "per_draw"])
@pytest.mark.parametrize("name", NORMS)
def test_batch_statistics_are_those_that_were_asked_for(name, batch_stats):
    x, y = data()
    x_new = data(5)[0][:7]
    case = NORMS[name]()
    model = cw.wrap(
        case.network,
        x,
        y,
        likelihood="gaussian",
        example=case.example,
        call=case.call,
        batch_stats=batch_stats,
    )
    assert set(leaf_paths(model.test_point)) == {*case.paths, "sigma"}
    post = posterior_of(model)
    params = jax.tree.map(lambda leaf: leaf[1, 2], post.draws)
    rows = None if batch_stats == "frozen" else x
    expected = norm_outputs(case, params, x_new, rows)
    found = outputs(post, x_new)[1, 2]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(outputs(post, x_new[:1])[1, 2], found[:1], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(case.predict(post.network(1, 2), x_new), found, rtol=1e-5, atol=1e-5)
    on_train = norm_outputs(case, params, x, rows)[:, 0]
    density = normal(on_train - y, params["sigma"]) + np.log(2)  # a half-normal has twice as much
    density += sum(normal(leaf) for leaf in named_leaves(params).values())
    np.testing.assert_allclose(jax.jit(model.log_density)(params), density, rtol=2e-5)


def test_batch_statistics_need_a_choice():
    with pytest.raises(ValueError, match="BatchNorm_0.mean.*Choose: `batch_stats='frozen'`"):
        wrap_linen()
    with pytest.raises(ValueError, match="`batch_stats` is 'both'"):
        wrap_linen(batch_stats="both")
    with pytest.raises(ValueError, match="no batch statistics"):
        wrap_linen(Linen(), batch_stats="frozen")
    with pytest.raises(ValueError, match="needs statistics to freeze.*`example=`"):
        wrap_linen(batch_stats="frozen")
    with pytest.raises(TypeError, match="keeps state.*make_with_state"):
        wrap_linen(EqxNorm(jax.random.key(0)), batch_stats="frozen")
    for mode in ("ema", "batch"):
        fresh = eqx.nn.make_with_state(EqxNorm)(jax.random.key(0), mode)
        with pytest.raises(ValueError, match="needs statistics to freeze"):
            wrap_linen(fresh, batch_stats="frozen")


def test_a_network_that_does_not_obey_the_choice_is_refused():
    for choice in ("frozen", "per_draw"):
        with pytest.raises(ValueError, match=f"'{choice}'`, but .* asks for those of the batch"):
            wrap_linen(OwnFlag(nnx.Rngs(0), norm=False), batch_stats=choice)
    with pytest.raises(ValueError, match="'per_draw'`, but the outputs in training are the same"):
        wrap_linen(OwnFlag(nnx.Rngs(0), norm=True), batch_stats="per_draw")
    with pytest.raises(ValueError, match="draws random numbers.*no `dropout=`"):
        wrap_linen(OwnFlag(nnx.Rngs(0), drop=False), batch_stats="frozen")


def chain(networks, x):
    return networks["head"](jnp.tanh(networks["encoder"](x)))


def test_several_networks_with_statistics_of_their_own():
    x, y = data()
    case = norm_nnx()
    networks = {"encoder": case.network, "head": nn.Dense(1)}
    model = cw.wrap(networks, x, y, likelihood="gaussian", combine=chain, batch_stats="per_draw")
    post = posterior_of(model)
    params = jax.tree.map(lambda leaf: leaf[0, 0], post.draws)
    inner = jnp.tanh(norm_outputs(case, params["encoder"], x[:3], rows=x))
    expected = inner @ params["head"]["kernel"] + params["head"]["bias"]
    np.testing.assert_allclose(outputs(post, x[:3])[0, 0], expected, rtol=1e-4, atol=1e-4)
