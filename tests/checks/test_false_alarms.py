"""What the user chose, kinks and symmetries are no errors."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from support.checks import X, Y, check, network

import crewel as cw
from crewel.checks.context import Context
from crewel.checks.differences import _judge


class Normalized(nn.Module):
    use_bias: bool = False

    @nn.compact
    def __call__(self, x, train: bool = True):
        x = nn.Dense(4, use_bias=self.use_bias)(x)
        x = nn.BatchNorm(use_running_average=not train, use_scale=False, use_bias=False)(x)
        return nn.Dense(1)(nn.tanh(x))


class Dropped(nn.Module):
    @nn.compact
    def __call__(self, x, train: bool = True):
        x = nn.tanh(nn.Dense(16)(x))
        return nn.Dense(1)(nn.Dropout(0.5, deterministic=not train)(x))


class Attention(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = x[..., None]
        return nn.Dense(1)(nn.MultiHeadDotProductAttention(2, qkv_features=4)(x, x)[:, 0])


@pytest.mark.parametrize(
    ("net", "choice", "words"),
    [
        (Normalized(), {"batch_stats": "per_draw"}, "With `batch_stats='per_draw'`"),
        (Dropped(), {"dropout": 0}, "With `dropout=`"),
    ],
)
def test_rows_that_depend_on_each_other_by_choice(net, choice, words):
    model = cw.wrap(net, X, Y, likelihood="gaussian", **choice)
    for name in ("rows independent", "minibatches"):
        found = check(name, model)
        assert found.status == "skipped"
        assert words in found.message and "as you chose" in found.message


def test_rows_that_depend_on_each_other_without_a_choice():
    def apply(params, x):
        return (x - x.mean(0)) @ params["w"]

    model = cw.wrap(apply, X, Y, likelihood="gaussian", example={"w": jnp.ones(3)})
    assert check("rows independent", model).status == "failed"


class Pooled(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(8, (3, 3))(x))
        x = nn.max_pool(x, (2, 2), strides=(2, 2)).reshape(len(x), -1)
        return nn.Dense(3)(nn.relu(nn.Dense(16)(x)))


@pytest.mark.parametrize("seed", range(3))
def test_kinks_are_not_wrong_gradients(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(60, 8, 8, 1)).astype(np.float32)
    y = rng.integers(0, 3, 60)
    model = cw.wrap(Pooled(), x, y, likelihood="categorical", prior=dist.Normal(0, 1))
    report = model.debug(seed, verbosity=0)
    assert report["gradient and differences"].status == "passed"


def test_a_difference_between_the_slopes_of_a_kink_is_not_a_wrong_gradient():
    # Differences 30.41 on either side of a kink where slopes are 30.75 and 30.07.
    found = np.array([[30.41, 30.41]])
    slopes, paths = np.array([30.75]), [("w",)]
    across = _judge(paths, slopes, found, np.array([[0.68, 0.68]]), "float32", "")
    assert across.status == "passed"
    smooth = _judge(paths, slopes, found, np.array([[1e-5, 1e-6]]), "float32", "")
    assert smooth.status == "failed"


def test_slopes_vary_across_a_kink_and_not_elsewhere():
    from crewel.checks.differences import _differences

    model = cw.Model(lambda p: -jnp.abs(p["w"] - 5e-3) - p["v"], {"w": 0.0, "v": 0.0})
    target = model.target()
    ways = {"w": jnp.array([1.0, 0.0]), "v": jnp.array([0.0, 1.0])}
    slopes, found, ranges = _differences(
        target, {"w": jnp.zeros(()), "v": jnp.zeros(())}, ways, (1e-2, 1e-3)
    )
    np.testing.assert_allclose(slopes, [1, -1])
    np.testing.assert_allclose(ranges, [[2, 0], [0, 0]])
    np.testing.assert_allclose(found, [[0.5, 1], [-1, -1]], rtol=1e-4)


def test_key_bias_of_attention_has_no_gradient_and_no_alarm():
    model = cw.wrap(Attention(), X, Y, likelihood="gaussian")
    report = model.debug(0, verbosity=0)
    assert report["gradient norms"].status == "passed"
    assert "key.bias" in report["parameters informed"].message
    assert report["parameters informed"].status == "passed"
    assert "its posterior is its prior" in report["parameters informed"].message
    norms = report["gradient norms"].details["norms"]
    assert max(norms.values()) < 1e6 * min(norms.values())
    context = Context(model, None, 0, {})
    small = context.start_gradients["MultiHeadDotProductAttention_0.key.bias"]
    assert np.abs(small).max() < 1e-4  # nothing but rounding at the initial states


def test_bias_before_a_normalization_has_no_effect():
    model = cw.wrap(Normalized(use_bias=True), X, Y, likelihood="gaussian", batch_stats="per_draw")
    found = check("parameters informed", model)
    assert found.status == "warned"
    assert "Dense_0.bias" in found.message and "use_bias=False" in found.message
    assert "dead ReLU" not in found.message
    without = cw.wrap(Normalized(), X, Y, likelihood="gaussian", batch_stats="per_draw")
    assert check("parameters informed", without).status == "passed"


def test_healthy_models_have_no_warning():
    report = network().debug(0, verbosity=0)
    assert report and not report.warned, (report.failed, report.warned)


def test_rounding_of_single_precision_is_not_a_discontinuity():
    # The second direction has a slope that differences of single precision do not resolve.
    slopes, found = np.array([5.0, 0.01]), np.array([[5.0, 5.0], [0.01, 0.3]])
    paths, ranges = [("a",), ("b",)], np.zeros((2, 2))
    single = _judge(paths, slopes, found, ranges, "float32", " The model does not run in float64.")
    assert single.status == "passed" and "along 1 random direction (float32)" in single.message
    double = _judge(paths, slopes, found, ranges, "float64", "")
    assert double.status == "warned" and "along `b` do not converge" in double.message


def test_rounding_of_a_recurrent_network_that_does_not_run_in_float64():
    rng = np.random.default_rng(0)
    net = nn.Sequential([nn.RNN(nn.GRUCell(4)), lambda h: h[:, -1], nn.Dense(1)])
    prices = (1000 + 50 * rng.normal(size=(120, 6, 1))).astype(np.float32)
    found = check(
        "gradient and differences",
        cw.wrap(net, prices, rng.normal(size=120), likelihood="gaussian"),
    )
    assert "float32" in found.message
    assert found.status == "passed", found.message
