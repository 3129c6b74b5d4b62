"""bayeux's `debug`, with another import line."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest

import crewel.compat.bayeux as bx

KEY = jax.random.key(0)
STEPS = (
    "Checking test_point shape",
    "Computing test point log density",
    "Loading keyword arguments...",
    "Checking it is possible to compute an initial state",
    "Checking initial state is has no NaN",
    "Computing initial state log density",
    "Transforming model to R^n",
    "Computing transformed state log density shape",
    "Computing gradients of transformed log density",
)


def lines(method, **kwargs):
    """What `debug` returns and prints."""
    said = []

    def printer(*parts, end="\n", sep=" "):
        said.append(sep.join(str(part) for part in parts) + end)

    return method.debug(KEY, printer=printer, **kwargs), "".join(said)


@pytest.fixture(scope="module")
def normal():
    return bx.Model(lambda x: -(x**2), 0.0)


def test_debug_of_a_good_model(normal):
    method = normal.mcmc.numpyro_nuts
    assert lines(method, verbosity=0) == (True, "")
    assert lines(method, verbosity=1) == (True, "✓ " * 9)
    assert lines(method) == (True, "".join(f"{step} ✓ \n" for step in STEPS))
    passed, said = lines(method, verbosity=3, kwargs={"num_chains": 17})
    assert passed and said.count("✓✓✓✓✓✓✓✓✓✓\n\n") == 9
    assert "Test point has shape\n()" in said and "Initial state has shape\n(17,)" in said
    assert "Initial gradient is\nArray([" in lines(method, verbosity=4)[1]
    assert normal.debug(KEY, verbosity=0)  # of the model itself: in bayeux it cannot pass


def test_debug_fires():
    leaf = bx.Model(lambda p: jnp.sqrt(p["a"]) + p["b"], {"a": 1.0, "b": 0.0})
    passed, said = lines(leaf.mcmc.numpyro_nuts, verbosity=1)  # a NaN in one leaf of two
    assert (passed, said) == (False, "✓ ✓ ✓ ✓ ✓ × ✓ × × ")
    vector = bx.Model(lambda x: -(x**2), jnp.zeros(1))  # no scalar
    assert lines(vector.mcmc.numpyro_nuts, verbosity=1)[1].split()[1] == "×"
    infinite = bx.Model(lambda x: jnp.where(x > 0, -x, -jnp.inf), 1.0)
    assert not lines(infinite.mcmc.numpyro_nuts)[0]
    # Optimizers have no Jacobian, and the same steps.
    assert lines(leaf.optimize.optax_adam, verbosity=1)[1] == "✓ ✓ ✓ ✓ ✓ × ✓ × × "


def test_debug_of_a_broken_function():
    broken = bx.Model(lambda x: x @ jnp.zeros(3), jnp.zeros(2))
    passed, said = lines(broken.mcmc.numpyro_nuts, verbosity=3)
    assert not passed
    assert "Unexpected error!\nTypeError" in said
    assert "Run with `catch_exceptions=False` to raise the full exception" in said
    with pytest.raises(TypeError):
        lines(broken.mcmc.numpyro_nuts, catch_exceptions=False)


def test_debug_takes_an_inverse_for_a_transform():
    wrong = bx.Model(lambda x: -x, 1.0, jnp.log, jnp.exp)  # the wrong way round
    passed, said = lines(wrong.mcmc.numpyro_nuts, verbosity=3)
    assert not passed and "×" in said


def test_fun_mode(normal):
    bx.debug.FunMode.engaged = True
    try:
        passed, said = lines(normal.mcmc.numpyro_nuts, verbosity=1)
    finally:
        bx.debug.FunMode.engaged = False
    assert passed and len(said.split()) == 9 and set(said) - {" "} <= set("✓👍🐶🌈🚀💪🎉🙌")
