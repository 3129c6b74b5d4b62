"""The size of inputs: columns that a network under its prior cannot use, and those that it can."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
from support.checks import check

import crewel as cw
from crewel.checks.features import features, results
from crewel.checks.trace import flatten

RNG = np.random.default_rng(0)
ROWS = 80
Z = RNG.normal(size=(ROWS, 4)).astype(np.float32)
Y = (Z @ np.array([1.0, -1.0, 0.5, 0.2])).astype(np.float32)
SIZES = np.array([1, 1, 1e4, 1], np.float32)
INCOME = Z * SIZES
YEARS = np.concatenate([Z[:, :1], 1990 + 10 * Z[:, 1:2], Z[:, 2:]], axis=1)
TINY = Z * np.array([1, 1e-5, 1, 1], np.float32)
DIGITS = (RNG.uniform(size=(ROWS, 8, 8, 1)) ** 4).astype(np.float32)
LINE = {"w": jnp.zeros(4), "b": jnp.zeros(())}
UNITS = {"a": jnp.zeros(8), "c": jnp.zeros(8), "b": jnp.zeros(8)}


class Net(nn.Module):
    act: object = nn.tanh
    first: object = None  # a layer before the first weights

    @nn.compact
    def __call__(self, x):
        x = x if self.first is None else self.first(x)
        return nn.Dense(1)(self.act(nn.Dense(16)(x)))


class Tokens(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(1)(nn.tanh(nn.Dense(4)(nn.Embed(5000, 4)(x).mean(1))))


class Image(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Conv(4, (3, 3))(x))
        return nn.Dense(1)(x.reshape(len(x), -1))


def wrap(net, x, y=Y, **kwargs):
    return cw.wrap(net, x, y, **{"likelihood": "gaussian", **kwargs})


def line(p, x):
    return x @ p["w"] + p["b"]


def of_column(j):
    def apply(p, x):
        return jnp.tanh(x[:, j, None] * p["a"] + p["c"]) @ p["b"]

    return apply


def two_columns(p, x):
    return x[:, 0] * p["a"] + x[:, 2] * p["c"] + p["b"]


THREE = {"a": 0.0, "b": 0.0, "c": 0.0}
OTHERS, SATURATED = "hardly depends on the other columns", "is saturated"
SAME, THESE = "nearly the same for all rows", "hardly depends on these columns"
WRONG = {
    "one column, tanh": (lambda: wrap(Net(), INCOME), "Column 2 of `x` is ", OTHERS),
    "one column, relu": (lambda: wrap(Net(nn.relu), INCOME), "Column 2 of `x` is ", OTHERS),
    "one column, linear": (lambda: wrap(line, INCOME, example=LINE), "Column 2 of `x`", OTHERS),
    "years, relu": (lambda: wrap(Net(nn.relu), YEARS), "Column 1 of `x` is 199", SAME),
    "years, tanh": (lambda: wrap(Net(), YEARS), "Column 1 of `x` is 199", OTHERS),
    "all columns": (lambda: wrap(Net(), 1e3 * Z), "Column 0 of `x` is ", SATURATED),
    "a tiny column": (lambda: wrap(Net(), TINY), "Column 1 of `x` is ", THESE),
    "single columns": (
        lambda: wrap(two_columns, INCOME, example=THREE),
        "Column 2 of `x` is ",
        OTHERS,
    ),
    "one column alone": (
        lambda: wrap(of_column(2), INCOME, example=UNITS),
        "Column 2 of `x` is ",
        SATURATED,
    ),
    "a leaf of a dict": (
        lambda: wrap(
            lambda p, x: jnp.tanh(x["a"] @ p["w"]) + x["income"] * p["b"],
            {"a": Z, "income": INCOME[:, 2]},
            example=LINE,
        ),
        "`x.income` is ",
        OTHERS,
    ),
    "pixels": (
        lambda: wrap(Net(), np.round(255 * DIGITS).reshape(ROWS, -1)),
        "64 columns of `x` are about ",
        SATURATED,
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_columns_that_the_network_cannot_use(name):
    make, start, reason = WRONG[name]
    found = check("input scale", make())
    assert found.status == "warned"
    assert found.message.startswith(start) and reason in found.message
    advice = "Divide the pixels by 255" if name == "pixels" else "Standardize the columns of `x`"
    assert advice in found.message


def test_columns_of_a_frame_are_named():
    frame = pd.DataFrame(INCOME, columns=["age", "sex", "income", "bmi"])
    message = check("input scale", wrap(Net(), frame)).message
    assert message.startswith("`income` is ")
    integers = pd.DataFrame({"year": YEARS[:, 1].astype(int), "sex": Z[:, 0] > 0})
    assert check("input scale", wrap(Net(), integers)).message.startswith("`year` is 199")


def inverse_size(path, shape):
    first = shape == (4, 16)
    return dist.Normal(0, 1 / np.broadcast_to(SIZES[:, None], shape) if first else 1.0)


def within(p, x):
    return Net().apply({"params": p}, (x - INCOME.mean(0)) / INCOME.std(0))


def kernels(p, x):
    return jnp.exp(-(((x[:, None] - p["z"]) / p["l"]) ** 2)) @ p["w"]


KERNELS = {"z": jnp.zeros(5), "l": jnp.ones(()), "w": jnp.zeros(5)}
WIDE = {"z": dist.Normal(0, 1e4), "l": dist.LogNormal(9.2, 0.5), "w": dist.Normal(0, 1)}
RIGHT = {
    "standardized": lambda: wrap(Net(), Z),
    "standardized, relu": lambda: wrap(Net(nn.relu), Z),
    "a few units": lambda: wrap(Net(), 5 + Z * np.array([3, 1, 0.3, 2], np.float32)),
    "one-hot": lambda: wrap(Net(), np.eye(40, dtype=np.float32)[RNG.geometric(0.3, ROWS) % 40]),
    "images": lambda: wrap(Image(), DIGITS),
    "flat images": lambda: wrap(Net(), np.where(DIGITS < 0.1, 0, DIGITS).reshape(ROWS, -1)),
    "integer pixels": lambda: wrap(
        lambda p, x: Image().apply({"params": p}, x / 255.0),
        (255 * DIGITS).astype(np.uint8),
        example=Image().init(jax.random.key(0), DIGITS)["params"],
    ),
    "tokens": lambda: wrap(Tokens(), RNG.integers(0, 5000, (ROWS, 6))),
    "rare counts": lambda: wrap(Net(), RNG.poisson(0.05, (ROWS, 30)).astype(np.float32)),
    "scaled in the network": lambda: wrap(
        within, INCOME, example=Net().init(jax.random.key(0), Z)["params"]
    ),
    "normalized in the network": lambda: wrap(Net(first=nn.LayerNorm()), 1e4 * Z),
    "logarithms": lambda: wrap(lambda p, x: line(p, jnp.log(x)), np.exp(3 * Z), example=LINE),
    "priors of inverse size": lambda: wrap(Net(), INCOME, prior=inverse_size),
    "a length scale": lambda: wrap(kernels, INCOME[:, 2], example=KERNELS, prior=WIDE),
    "an unused column": lambda: wrap(of_column(0), INCOME, example=UNITS),
}


@pytest.mark.parametrize("name", RIGHT)
def test_columns_that_the_network_can_use(name):
    found = check("input scale", RIGHT[name]())
    assert found.status == "passed", found.message


def test_the_network_is_measured_with_and_without_standardized_columns():
    found = check("input scale", wrap(line, INCOME, example=LINE)).details["others"]
    # Shuffling k of 4 independent columns changes a linear function by sqrt(2 k / 4) of its spread.
    assert found[0] < 1e-3
    assert abs(found[1] - (2 * 3 / 4) ** 0.5) < 0.25


def test_features_are_what_meets_the_parameters():
    def apply(p, tokens, x):
        scaled = (x - 3.0) / 2.0
        return p["table"][tokens] + scaled @ p["w"] + jnp.sin(x[:, 0]) * p["v"]

    p = {"table": jnp.arange(9.0), "v": jnp.ones(()), "w": jnp.ones(4)}
    tokens = np.arange(ROWS) % 9
    flat = flatten(apply, p, tokens, Z)
    values = dict(zip(flat.inputs[-2:], (tokens, Z), strict=True))
    found = features(flat, values, ROWS)
    assert [one.value.shape for one in found] == [(ROWS, 4), (ROWS,)]
    np.testing.assert_allclose(found[0].columns, (Z - 3) / 2, rtol=1e-6)
    np.testing.assert_allclose(found[1].columns[:, 0], np.sin(Z[:, 0]), atol=1e-6)
    zeros = {one.number: one.replaced(0 * one.columns) for one in found}
    given = dict(zip(flat.inputs, [*jax.tree.leaves(p), tokens, Z], strict=True))
    np.testing.assert_array_equal(results(flat, given | zeros)[0], tokens)
    np.testing.assert_allclose(results(flat, given)[0], apply(p, tokens, Z), rtol=1e-6)


def test_inputs_that_are_all_tiny():
    found = check("input scale", wrap(Net(), 1e-9 * Z))
    assert found.status == "warned" and SAME in found.message
    assert found.message.startswith("Column 0 of `x` is ")
