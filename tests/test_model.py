"""What a `Model` accepts."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import crewel as cw


def test_integer_leaf_is_named():
    with pytest.raises(TypeError, match=r"`a.n` is of type int32"):
        cw.Model(lambda p: 0.0, {"a": {"n": jnp.arange(3), "x": 0.0}})


def test_a_gaussian_must_fit_the_parameters():
    def model(gaussian, transform=None):
        return cw.Model(
            lambda p: -p["a"].sum(), {"a": jnp.ones(2)}, transform, gaussian_prior=gaussian
        )

    assert model(({"a": 0.0}, {"a": np.ones(2)})).target().gaussian_prior[1]["a"].shape == (2,)
    with pytest.raises(ValueError, match="location .* another structure"):
        model(([0.0], {"a": 1.0}))
    with pytest.raises(ValueError, match="scale .* at `a` has shape \\(3,\\)"):
        model(({"a": 0.0}, {"a": np.ones(3)}))
    with pytest.raises(ValueError, match="without a transform"):
        model(({"a": 0.0}, {"a": 1.0}), {"a": dist.constraints.positive})
