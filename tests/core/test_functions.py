"""Functions that are the same code on the same values share a program."""

import types
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from support import counting

import crewel as cw
from crewel.core.functions import code_key
from crewel.core.trees import Static

SCALE = 1.0
FACTORS = np.ones(3)


def helper(x):
    return SCALE * x


def scaled(value):
    return lambda x: value * jnp.sin(helper(x))


def of_module(module):
    return lambda x: module.rate * x


@pytest.mark.parametrize(
    "make",
    [
        scaled,
        lambda value: lambda x, factor=value: factor * x,
        lambda value: lambda x, *, factor=value: factor * x,
        lambda value: lambda x: {"a": [value, 2]}["a"][0] * x,
        lambda value: lambda x: jnp.full(3, value) @ x,
        lambda value: lambda x: (lambda y: value * y)(x),
    ],
)
def test_equal_values_make_equal_functions(make):
    assert Static(make(2.0)) == Static(make(2.0))
    assert hash(Static(make(2.0))) == hash(Static(make(2.0)))
    for other in (3.0, 2, dist.Normal(2.0, 1.0), np.float32(2.0), True, np.full(3, 2.0)):
        assert Static(make(2.0)) != Static(make(other))


def test_distributions_count_by_their_numbers():
    def of(scale):
        prior = dist.HalfNormal(scale)
        return lambda x: prior.log_prob(x)

    assert Static(of(2.0)) == Static(of(2.0)) != Static(of(3.0))


def test_arrays_count_by_content_as_it_was():
    held = np.arange(4.0)
    first = Static(scaled(held))
    assert first == Static(scaled(held.copy()))
    assert first != Static(scaled(held.astype(np.float32)))
    assert first != Static(scaled(jnp.arange(4.0)))
    held[0] = 9
    assert first != Static(scaled(held))


def test_globals_and_attributes_of_modules_count_as_they_were(monkeypatch):
    settings = types.ModuleType("settings")
    settings.rate = 1.0
    before = Static(scaled(1.0)), Static(of_module(settings))
    assert before == (Static(scaled(1.0)), Static(of_module(settings)))
    monkeypatch.setitem(globals(), "SCALE", 2.0)
    settings.rate = 2.0
    assert before[0] != Static(scaled(1.0))
    assert before[1] != Static(of_module(settings))


def test_a_function_that_uses_an_object_equals_only_itself():
    class Settings:
        rate = 1.0

    settings = Settings()
    fns = [lambda x: settings.rate * x for _ in range(2)]
    assert code_key(fns[0]) is None
    assert Static(fns[0]) == Static(fns[0]) and Static(fns[0]) != Static(fns[1])


def test_the_third_function_that_cannot_be_compared_is_named_once():
    class Settings:
        rate = 1.0

    def make(settings):
        def density(x):
            return settings.rate * x

        return density

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        kept = [make(Settings()) for _ in range(5)]
        for fn in kept:
            Static(fn), Static(fn)
    (only,) = caught
    assert "`density` (test_functions.py:" in str(only.message)
    assert "uses `settings`" in str(only.message)


def test_other_code_is_another_function():
    assert Static(lambda x: x + 1) != Static(lambda x: x + 2)
    assert Static(lambda x: x + 1) != Static(jnp.sin)


def test_a_function_that_calls_itself_has_a_key():
    def make(start):
        def power(x, n=start):
            return x if n == 0 else x * power(x, n - 1)

        return power

    assert code_key(make(2)) == code_key(make(2)) is not None
    assert code_key(make(2)) != code_key(make(3))


def test_a_loop_over_folds_compiles_once():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2)).astype(np.float32)
    y = (x[:, 0] > 0).astype(int)

    def fold(i, spread):
        kept = np.arange(60) % 3 != i
        model = cw.wrap(
            lambda p, x: x @ p["w"], x[kept], y[kept],
            likelihood=lambda out, latents: dist.Bernoulli(logits=out[:, 0] * spread),
            example={"w": np.zeros((2, 1), np.float32)},
            prior=lambda path, shape: dist.Normal(0, 1),
        )  # fmt: skip
        return model.mcmc.numpyro_nuts(
            seed=i, num_chains=2, num_warmup=20, num_draws=20, progress=False
        )

    with cw.settings(verdict="off"):
        first = fold(0, 1.0)
        with counting() as counts:
            second = fold(1, 1.0)
        assert counts["compile"] == 0
        assert not np.array_equal(first.draws["w"], second.draws["w"])
        with counting() as counts:
            fold(1, 0.5)
        assert counts["compile"] > 0


def test_a_density_in_a_loop_compiles_once():
    def run():
        model = cw.Model(lambda p: -0.5 * jnp.sum((p - SCALE) ** 2), np.zeros(2, np.float32))
        return model.mcmc.numpyro_nuts(
            seed=0, num_chains=1, num_warmup=20, num_draws=20, progress=False
        )

    with cw.settings(verdict="off"):
        first = run()
        with counting() as counts:
            second = run()
    assert counts["compile"] == 0
    np.testing.assert_array_equal(first.draws, second.draws)


def test_a_changed_global_is_seen_by_the_same_function(monkeypatch):
    def density(p):
        return -0.5 * (p - SCALE) ** 2 * 1e4

    means = []
    for value in (1.0, 5.0):
        monkeypatch.setitem(globals(), "SCALE", value)
        post = cw.Model(density, 0.0).optimize.optax_adam(
            seed=0, num_particles=1, num_steps=400, learning_rate=0.1, progress=False
        )
        means.append(float(jax.tree.leaves(post.draws)[0].mean()))
    np.testing.assert_allclose(means, [1.0, 5.0], atol=0.05)
