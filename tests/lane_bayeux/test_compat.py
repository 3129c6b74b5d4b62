"""`crewel.compat.bayeux` beside the real bayeux: the same names, keywords, output and answers."""

from __future__ import annotations

import bayeux as real
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import crewel.compat.bayeux as ours

KEY = jax.random.PRNGKey(0)


def both(*args):
    return real.Model(*args), ours.Model(*args)


def said(method, **kwargs):
    out = []

    def printer(*parts, end="\n", sep=" "):
        out.append(sep.join(str(part) for part in parts) + end)

    return method.debug(KEY, printer=printer, **kwargs), "".join(out)


def names(module):
    return {class_name: getattr(module, class_name).name for class_name in module.__all__}


@pytest.mark.parametrize("family", ["mcmc", "optimize"])
def test_class_names(family):
    theirs, mine = names(getattr(real, family)), names(getattr(ours, family))
    assert mine.items() <= theirs.items()
    common = [name for name in theirs if name in mine]
    assert list(mine) == common  # in the same order


@pytest.mark.parametrize("method", ["numpyro_nuts", "numpyro_hmc"])
def test_keywords_of_samplers(method):
    a, b = (getattr(m.mcmc, method) for m in both(lambda x: -(x**2), 0.0))
    theirs, mine = a.get_kwargs(num_samples=7), b.get_kwargs(num_samples=7)
    assert list(mine)[:2] == list(theirs)[:2]
    assert mine["extra_parameters"] == theirs["extra_parameters"]
    for callable_ in list(mine)[:2]:
        assert mine[callable_].items() <= theirs[callable_].items()


def test_keywords_of_optimizers():
    a, b = both(lambda x: -(x**2), 0.0)
    for name in b.methods["optimize"]:
        theirs, mine = (getattr(m.optimize, name).get_kwargs() for m in (a, b))
        if name.startswith("optax_") and name != "optax_schedule_free":
            for part in theirs.values():
                part.pop("seed", None)  # of noisy_sgd: each particle has noise of its own
            assert mine == theirs, name


@pytest.mark.parametrize("verbosity", [0, 1, 2, 3])
@pytest.mark.parametrize("family, name", [("mcmc", "numpyro_nuts"), ("optimize", "optax_adam")])
def test_debug_says_the_same(verbosity, family, name):
    def density(p):
        return -jnp.sum(p["x"] ** 2) - p["s"]

    point = {"x": jnp.zeros(2), "s": 1.0}
    a, b = both(density, point, lambda p: {"x": p["x"], "s": jax.nn.softplus(p["s"])})
    (ok, theirs), (passed, mine) = (
        said(getattr(getattr(m, family), name), verbosity=verbosity) for m in (a, b)
    )
    assert passed is ok is True

    def without_keywords(text):
        before, _, after = text.partition("Keyword arguments are\n")
        return before, after[after.find("✓✓") :]

    assert without_keywords(mine) == without_keywords(theirs)


def test_the_same_mode_and_loss():
    a, b = both(lambda x: -((x - 3.0) ** 2), 0.0)
    theirs, mine = (m.optimize.optax_adam(KEY, num_particles=4, num_iters=600) for m in (a, b))
    np.testing.assert_allclose(mine.params, theirs.params, atol=1e-3)
    assert mine.loss.shape == theirs.loss.shape == (4, 600)
