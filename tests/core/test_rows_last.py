"""Functions evaluated with the rows as the last axis of every value."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from crewel.core.rows_last import RowsLast, evaluate, is_faster, rows_first, rows_last

N = 37
rng = np.random.default_rng(0)


def normal(*shape):
    return jnp.asarray(rng.normal(size=shape), jnp.float32)


W, V, B = normal(6, 5), normal(5, 6), normal(5)
X = normal(N, 6)
K = jnp.asarray(rng.integers(0, 5, N))


def mlp(p, x):
    return jax.nn.relu(x @ p["w"] + p["b"]) @ p["v"]


def layer_norm(p, x):
    h = x @ p["w"]
    return (h - h.mean(-1, keepdims=True)) * lax.rsqrt(h.var(-1, keepdims=True) + 1e-6) * p["b"]


def categorical(p, rows):
    scores = jax.nn.log_softmax(rows["x"] @ p["w"])
    return jnp.take_along_axis(scores, rows["k"][:, None], -1)[:, 0]


def shuffled(p, x):
    h = jnp.concatenate([x[:, 1:4:2], jnp.flip(x, -1), jnp.broadcast_to(p["b"], (len(x), 5))], 1)
    h = jnp.pad(h, ((0, 0), (1, 2)), constant_values=0.5).reshape(len(x), 4, 4)
    h = jnp.cumsum(h.transpose(0, 2, 1), 1)
    return jnp.sort(h, -1).max(1) + jnp.where(x[:, :1] > 0, h[:, 0], jnp.argmax(h, 1))


def heads(p, x):
    split = jnp.stack([x, 2 * x], 1)  # (N, 2, 6)
    return jnp.einsum("nhk,hkm->nmh", split, jnp.stack([p["w"], -p["w"]]))


def sequence(p, x):
    return jnp.tanh(jnp.stack([x, x**2, jnp.sin(x)], 1) @ p["w"]).sum(1)


def from_the_left(p, x):
    return jnp.einsum("km,nk->nm", p["w"], x) * jnp.linalg.norm(p["v"])


def activations(p, x):
    h = x @ p["w"]
    return jax.nn.gelu(h) + jax.nn.silu(h) + jax.nn.elu(h) + jax.nn.softplus(h) + jax.nn.relu6(h)


def convolution(p, x):
    kernel = p["v"][:2, :3].reshape(3, 1, 2)
    return lax.conv_general_dilated(x[..., None], kernel, (1,), "SAME",
                                    dimension_numbers=("NWC", "WIO", "NWC"))  # fmt: skip


def recurrent(p, x):
    def step(h, column):
        return jnp.tanh(h @ p["v"].T[:5, :5] + column[:, None]), h

    return lax.scan(step, jnp.zeros((len(x), 5)), x.T)[0]


def attention(p, x):
    h = jnp.stack([x, x**2], 1) @ p["w"]
    return jax.nn.softmax(h @ h.transpose(0, 2, 1)) @ h


def embedding(p, rows):
    return p["w"][rows["k"]] + rows["x"][:, :1]


PARAMS = {"w": W, "v": V, "b": B}
PAIR = {"x": X, "k": K}
FAST = [
    *[(fn, X) for fn in (mlp, layer_norm, shuffled, heads, sequence, from_the_left, activations)],
    (categorical, PAIR),
]
MAPPED = [(fn, X) for fn in (convolution, recurrent, attention)] + [(embedding, PAIR)]


@pytest.mark.parametrize(("fn", "rows"), FAST + MAPPED, ids=lambda v: getattr(v, "__name__", ""))
def test_values_and_gradients_are_those_of_the_function(fn, rows):
    def loss(how, p):
        out = how(fn, p, rows)
        return (out * jnp.cos(jnp.arange(out.size).reshape(out.shape))).sum(), out

    one, other = (
        jax.jit(jax.value_and_grad(lambda p, how=how: loss(how, p), has_aux=True))(PARAMS)
        for how in (lambda fn, p, rows: fn(p, rows), evaluate)
    )
    assert one[0][1].shape == other[0][1].shape
    np.testing.assert_allclose(one[0][1], other[0][1], rtol=2e-5, atol=2e-5)
    for name in PARAMS:
        np.testing.assert_allclose(one[1][name], other[1][name], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("fn", "rows"), FAST, ids=lambda v: getattr(v, "__name__", ""))
def test_networks_of_products_and_elementwise_functions_are_faster(fn, rows):
    assert is_faster(fn, PARAMS, rows)


@pytest.mark.parametrize(("fn", "rows"), MAPPED, ids=lambda v: getattr(v, "__name__", ""))
def test_others_are_not(fn, rows):
    assert not is_faster(fn, PARAMS, rows)


def test_rows_are_the_last_axis_of_every_product():
    traced = jax.make_jaxpr(lambda p: evaluate(mlp, p, X))(PARAMS)
    shapes = [e.outvars[0].aval.shape for e in traced.eqns if e.primitive.name == "dot_general"]
    assert shapes == [(5, N), (6, N)]


def test_the_gradient_of_relu_at_zero_is_zero():
    def slope(how):
        return jax.grad(lambda b: how(lambda b, x: jax.nn.relu(x + b), b, jnp.zeros((4, 1))).sum())

    assert slope(evaluate)(jnp.zeros(1)) == 0
    # Without its own derivative, the gradient of `max(x, 0)` would be a half.
    assert jax.grad(lambda b: jnp.maximum(jnp.zeros((4, 1)) + b, 0).sum())(jnp.zeros(1)) == 2


def test_second_derivatives_and_maps_over_draws():
    def twice(how):
        def value(w):
            return (how(activations, PARAMS | {"w": w}, X) ** 2).sum()

        return jax.vmap(lambda w: jax.jvp(jax.grad(value), (w,), (jnp.ones_like(w),))[1])

    draws = jnp.stack([W, 0.5 * W])
    plain = twice(lambda fn, p, x: fn(p, x))(draws)
    np.testing.assert_allclose(
        twice(evaluate)(draws), plain, rtol=1e-3, atol=1e-3 * abs(plain).max()
    )


@pytest.mark.parametrize("mode", ["fill", "clip", "promise_in_bounds"])
def test_an_index_beyond_the_last_class_means_what_it_means_to_jax(mode):
    places = jnp.array([0, 4, 4] if mode == "promise_in_bounds" else [0, 4, 5])

    def by_row(w, rows):
        return jnp.take_along_axis(rows["x"] @ w, rows["k"][:, None], -1, mode=mode)

    found = evaluate(by_row, W, {"x": X[:3], "k": places})
    np.testing.assert_allclose(found, by_row(W, {"x": X[:3], "k": places}), rtol=1e-5)
    assert bool(jnp.isnan(found[2, 0])) == (mode == "fill")


def test_scores_of_minus_infinity_are_not_picked():
    def pick(p, rows):
        scores = jnp.where(jnp.arange(5) == 3, -jnp.inf, rows["x"] @ p)
        return jnp.take_along_axis(scores, rows["k"][:, None], -1)[:, 0]

    rows = {"x": X, "k": jnp.where(K == 3, 2, K)}
    found, slope = jax.value_and_grad(lambda w: evaluate(pick, w, rows).sum())(W)
    plain, expected = jax.value_and_grad(lambda w: pick(w, rows).sum())(W)
    np.testing.assert_allclose(found, plain, rtol=1e-5)
    np.testing.assert_allclose(slope, expected, rtol=1e-4, atol=1e-5)


def test_a_function_that_sums_over_its_rows_is_refused():
    with pytest.raises(ValueError, match="one row for one row"):
        evaluate(lambda p, x: (x @ p).sum(0), W, X)


def test_few_rows_are_evaluated_as_written():
    fn = RowsLast(mlp, fewest=10)
    (few,) = (
        e
        for e in jax.make_jaxpr(fn)(PARAMS, X[:9]).eqns
        if "dot" in e.primitive.name and e.outvars[0].aval.shape[-1] == 5
    )
    assert few.outvars[0].aval.shape == (9, 5)


def test_the_function_as_it_was_written_comes_back():
    turned = {"fn": rows_last(jax.tree_util.Partial(mlp, PARAMS)), "data": X}
    back = rows_first(turned)
    assert back["fn"].func is mlp
    assert jax.tree.all(jax.tree.map(lambda a, b: a is b, back["fn"].args, (PARAMS,)))
    assert back["data"] is X
