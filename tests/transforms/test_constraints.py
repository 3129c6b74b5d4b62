"""NumPyro's constraints as transforms: shapes, dtypes, bounds."""

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from numpyro.distributions import constraints
from numpyro.distributions import transforms as numpyro_transforms
from support.transforms import CHOLESKY, COVARIANCE, SIMPLEX, _lower, assert_sound

from crewel.transforms.transform import build

SHAPED = {  # constraint, parameters, the parameters that are free, the shape of u
    "simplex": (constraints.simplex, SIMPLEX, lambda p: p[:, :-1], (2, 2)),
    "lower_cholesky": (constraints.lower_cholesky, CHOLESKY, _lower(3, 0), (6,)),
    "cholesky_batch": (
        constraints.lower_cholesky,
        jnp.stack([CHOLESKY, 2 * CHOLESKY]),
        _lower(3, 0),
        (2, 6),
    ),
    "positive_definite": (constraints.positive_definite, COVARIANCE, _lower(3, 0), (6,)),
    "corr_cholesky": (
        constraints.corr_cholesky,
        jnp.array([[1.0, 0.0], [0.6, 0.8]]),
        _lower(2, -1),
        (1,),
    ),
    "ordered": (constraints.ordered_vector, jnp.array([-1.0, 0.5, 3.0]), lambda p: p, (3,)),
    "independent": (
        constraints.independent(constraints.interval(-1, 2.0), 1),
        jnp.array([[0.5, 1.5], [-0.5, 0.1]]),
        lambda p: p,
        (2, 2),
    ),
    "support": (dist.HalfNormal(1.0).support, jnp.array([0.1, 3.0]), lambda p: p, (2,)),
    "transform": (
        numpyro_transforms.ComposeTransform(
            [numpyro_transforms.ExpTransform(), numpyro_transforms.AffineTransform(1.0, -2.0)]
        ),
        jnp.array([-0.5, 0.1]),
        lambda p: p,
        (2,),
    ),
}


@pytest.mark.parametrize("name", SHAPED)
def test_numpyro_constraints_may_change_the_shape(name):
    spec, params, free, shape = SHAPED[name]
    u = assert_sound(build(spec, params), params, free)
    assert u.shape == shape


def test_a_constraint_goes_to_every_leaf_below_it():
    spec = {"net": None, "scale": constraints.positive, "rates": [constraints.unit_interval, None]}
    params = {
        "net": {"w": -jnp.ones((2, 2)), "b": jnp.zeros(2)},
        "scale": {"x": jnp.array([0.5, 2.0]), "y": 1.0},
        "rates": [jnp.array([0.25]), -1.0],
    }
    u = assert_sound(build(spec, params), params)
    np.testing.assert_allclose(u["net"]["w"], params["net"]["w"])
    np.testing.assert_allclose(u["scale"]["x"], np.log([0.5, 2.0]), rtol=1e-6)
    np.testing.assert_allclose(u["rates"][0], [-np.log(3)], rtol=1e-6)
    assert u["rates"][1] == -1.0


def test_dtype_of_the_leaf_is_kept():
    params = {"half": jnp.array([0.5, 0.25], jnp.bfloat16), "single": jnp.ones(2)}
    for spec in (constraints.interval(0.0, 2.0), lambda u: jax.tree.map(jnp.exp, u)):
        transform = build(spec, params)
        u = transform.inverse(params)
        for tree in (u, transform.forward(u)):
            assert (tree["half"].dtype, tree["single"].dtype) == (jnp.bfloat16, jnp.float32)
        assert transform.log_det(u).dtype == jnp.float32
