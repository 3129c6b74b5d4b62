"""Arguments of NumPyro programs: what cannot be one, and arrays that do not fit each other."""

from __future__ import annotations

import argparse
import functools

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from support.programs import X, Y, line

import crewel as cw


def test_a_program_without_data_says_so():
    with pytest.warns(UserWarning, match="no observed site.*its posterior is its prior"):
        cw.Model.from_numpyro(line, X)


def test_a_factor_is_data(recwarn):
    def program():
        z = numpyro.sample("z", dist.Normal(0.0, 1.0))
        numpyro.factor("f", -(z**4))

    cw.Model.from_numpyro(program)
    cw.Model.from_numpyro(line, X, y=Y)
    assert not [each for each in recwarn if "prior" in str(each.message)]


def test_arguments_that_are_not_arrays_are_bound():
    pd = pytest.importorskip("pandas")

    def program(frame, y=None):
        line(jnp.asarray(frame.x), y)

    frame, options = pd.DataFrame({"x": X}), argparse.Namespace(x=X)
    for given, name in ((frame, "DataFrame"), (options, "Namespace")):
        with pytest.raises(TypeError, match=f"holds a {name}.*functools.partial"):
            cw.Model.from_numpyro(program, given, y=Y)
        model = cw.Model.from_numpyro(functools.partial(program, given), y=Y)
        at = {"weights": jnp.array([0.3, -0.8])}
        expected = cw.Model.from_numpyro(line, X, y=Y).log_density(at)
        np.testing.assert_allclose(model.log_density(at), expected, rtol=1e-6)


def test_a_value_that_must_be_known_is_bound():
    def program(group, y):
        number = np.unique(group).size
        z = numpyro.sample("z", dist.Normal(0.0, 1.0).expand([number]).to_event(1))
        numpyro.sample("y", dist.Normal(z[group], 1.0), obs=y)

    group = np.array([0, 1, 1, 0, 2])
    with pytest.raises(TypeError, match="value of an array argument.*functools.partial"):
        cw.Model.from_numpyro(program, group, np.zeros(5, np.float32))
    model = cw.Model.from_numpyro(functools.partial(program, group), np.zeros(5, np.float32))
    assert model.test_point["z"].shape == (3,)


def test_arrays_of_different_lengths():
    def program(x, y):
        slope = numpyro.sample("slope", dist.Normal(0.0, 1.0))
        numpyro.sample("y", dist.Normal(slope * x, 1.0), obs=y)

    with pytest.raises(ValueError, match=r"site `y` .* shape \(12,\), but its values .* \(11,\)"):
        cw.Model.from_numpyro(program, X, Y[1:])
