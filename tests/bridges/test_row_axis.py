"""`wrap(layout=...)`: where the rows are the last axis, and where they stay the first."""

import equinox as eqx
import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from flax import nnx

import crewel as cw
from crewel.core.rows_last import RowsLast, rows_first

N = 200
rng = np.random.default_rng(1)
X = rng.normal(size=(N, 4)).astype(np.float32)
Y = np.sin(X[:, 0]).astype(np.float32)
CLASSES = rng.integers(0, 3, N)


class Linen(nn.Module):
    sizes: tuple = (8, 8, 3)
    norm: bool = False
    rate: float = 0.0

    @nn.compact
    def __call__(self, x, train: bool = False):
        for size in self.sizes[:-1]:
            x = nn.relu(nn.Dense(size)(x))
            x = nn.BatchNorm(use_running_average=not train)(x) if self.norm else x
            x = nn.Dropout(self.rate, deterministic=not train)(x) if self.rate else x
        return nn.Dense(self.sizes[-1])(x)


class Nnx(nnx.Module):
    def __init__(self, rngs):
        self.first, self.last = nnx.Linear(4, 8, rngs=rngs), nnx.Linear(8, 3, rngs=rngs)

    def __call__(self, x):
        return self.last(nnx.relu(self.first(x)))


def plain(params, x):
    return jnp.tanh(x @ params["w"]) @ params["v"]


NETWORKS = {
    "linen": lambda: Linen(),
    "nnx": lambda: Nnx(nnx.Rngs(0)),
    "haiku": lambda: hk.transform(lambda x: hk.nets.MLP([8, 3])(x)),
    "equinox": lambda: eqx.nn.MLP(4, 3, 8, 1, key=jax.random.key(0)),
    "function": lambda: plain,
}
EXAMPLE = {"w": jnp.ones((4, 8)), "v": jnp.ones((8, 3))}


def is_turned(model):
    return isinstance(model.target().log_likelihood.func, RowsLast)


@pytest.mark.parametrize("library", NETWORKS)
def test_a_network_of_any_library_has_the_same_density_and_predictions(library):
    more = {"example": EXAMPLE} if library == "function" else {}
    network = NETWORKS[library]()
    auto, first = (
        cw.wrap(network, X, CLASSES, likelihood="categorical", layout=layout, **more)
        for layout in ("auto", "rows_first")
    )
    assert is_turned(auto) and not is_turned(first)
    values, slopes = zip(
        *(jax.value_and_grad(m.log_density)(m.test_point) for m in (auto, first)), strict=True
    )
    np.testing.assert_allclose(*values, rtol=1e-5)
    for one, other in zip(*map(jax.tree.leaves, slopes), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4 * float(abs(other).max()))
    outputs = [m.predictive.point(m.test_point, X)["probability"] for m in (auto, first)]
    assert outputs[0].shape == (N, 3)
    np.testing.assert_allclose(*outputs, rtol=1e-4, atol=1e-6)


def test_pytree_inputs_weights_and_minibatches():
    inputs = {"a": X[:, :2], "b": X[:, 2:]}

    def network(params, x):
        return jnp.tanh(x["a"] @ params["a"] + x["b"] @ params["b"]).sum(-1)

    example = {"a": jnp.ones((2, 5)), "b": -jnp.ones((2, 5))}
    auto, first = (
        cw.wrap(
            network, inputs, Y, likelihood="gaussian", example=example, layout=layout,
            weights=np.arange(N) % 3,
        )
        for layout in ("auto", "rows_first")
    )  # fmt: skip
    assert is_turned(auto)
    np.testing.assert_allclose(*(m.log_density(m.test_point) for m in (auto, first)), rtol=1e-5)
    batch = jax.tree.map(lambda leaf: leaf[10:160], auto.data)
    one, other = (m.target().log_likelihood(m.test_point, batch) for m in (auto, first))
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_frozen_batch_statistics_are_right_and_those_of_the_batch_stay_first():
    example = Linen(norm=True).init(jax.random.key(0), X)
    trained = jax.tree.map(lambda leaf: leaf + 0.5, example["batch_stats"])

    def model(layout, batch_stats):
        return cw.wrap(
            Linen(norm=True), X, CLASSES, likelihood="categorical", layout=layout,
            batch_stats=batch_stats, call={"train": batch_stats == "per_draw"},
            example=example | {"batch_stats": trained},
        )  # fmt: skip

    auto, first = model("auto", "frozen"), model("rows_first", "frozen")
    assert is_turned(auto)
    np.testing.assert_allclose(*(m.log_density(m.test_point) for m in (auto, first)), rtol=1e-5)
    assert not is_turned(model("auto", "per_draw"))
    with pytest.warns(UserWarning, match="per_draw"):
        assert not is_turned(model("rows_last", "per_draw"))


def test_dropout_and_rows_together_stay_first():
    dropped = {"likelihood": "categorical", "dropout": 0, "call": {"train": True}}
    assert not is_turned(cw.wrap(Linen(rate=0.5), X, CLASSES, **dropped))
    with pytest.warns(UserWarning, match=r"was not used: with `dropout=`"):
        cw.wrap(Linen(rate=0.5), X, CLASSES, layout="rows_last", **dropped)
    with pytest.warns(UserWarning, match="rows='together'"):
        cw.wrap(Linen((8, 1)), X, Y[:, None], likelihood="gaussian", rows="together",
                layout="rows_last")  # fmt: skip


@pytest.mark.parametrize(
    "network",
    [
        lambda p, x: (x - x.mean(0)) @ p["w"],  # statistics of the batch
        lambda p, x: (x - x[:1]) @ p["w"],
        lambda p, x: jnp.cumsum(x @ p["w"], 0),
    ],
)
def test_a_network_whose_rows_depend_on_each_other_stays_as_it_is(network):
    arguments = {"likelihood": "gaussian", "example": {"w": jnp.ones((4, 1))}}
    model = cw.wrap(network, X, Y, **arguments)
    assert not is_turned(model)
    expected = model.predictive.point(model.test_point, X)["outputs"]
    np.testing.assert_array_equal(expected, network(model.test_point, X))
    with pytest.warns(UserWarning, match="depends on the other rows"):
        assert not is_turned(cw.wrap(network, X, Y, layout="rows_last", **arguments))


def test_a_likelihood_that_closes_over_all_rows_stays_as_it_is():
    mask = jnp.asarray(np.arange(N) % 2 == 0)
    model = cw.wrap(
        Linen((8, 1)), X, Y, likelihood=lambda out, latents: dist.Normal(out[:, 0], 1).mask(mask)
    )
    assert not is_turned(model)
    outputs = model.predictive.point(model.test_point, X)["outputs"][:, 0]
    expected = jnp.where(mask, dist.Normal(outputs, 1).log_prob(Y), 0).sum()
    found = model.target().log_likelihood(model.test_point, model.data).sum()
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_convolution_stays_as_it_is_unless_asked():
    class Cnn(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Dense(3)(nn.relu(nn.Conv(4, (3, 3))(x)).reshape(len(x), -1))

    images = rng.normal(size=(64, 6, 6, 1)).astype(np.float32)
    auto, last = (
        cw.wrap(Cnn(), images, CLASSES[:64], likelihood="categorical", layout=layout)
        for layout in ("auto", "rows_last")
    )
    assert not is_turned(auto) and is_turned(last)
    np.testing.assert_allclose(*(m.log_density(m.test_point) for m in (auto, last)), rtol=1e-5)


def test_a_wrong_layout_is_named():
    with pytest.raises(ValueError, match="'rows_last', got 'last'"):
        cw.wrap(Linen(), X, CLASSES, likelihood="categorical", layout="last")


def test_draws_are_those_of_rows_first_up_to_rounding():
    draws = []
    for layout in ("auto", "rows_first"):
        model = cw.wrap(Linen((3, 3)), X, CLASSES, likelihood="categorical", layout=layout)
        post = model.mcmc.numpyro_hmc(
            seed=0, num_chains=1, num_warmup=0, num_draws=3, num_steps=3, step_size=0.01,
            adapt_step_size=False, adapt_mass_matrix=False, progress=False,
        )  # fmt: skip
        draws.append(post.draws)
    for one, other in zip(*map(jax.tree.leaves, draws), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def test_the_debugger_reads_the_network_as_it_was_written():
    model = cw.wrap(Linen(), X, CLASSES, likelihood="categorical")
    plain = rows_first(model.target())
    assert not isinstance(plain.log_likelihood.func, RowsLast)
    assert plain.log_likelihood.func is model.target().log_likelihood.func.rows_first
    np.testing.assert_allclose(
        plain.joint(model.test_point), model.log_density(model.test_point), rtol=1e-5
    )
