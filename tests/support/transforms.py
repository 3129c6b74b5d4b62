"""Whether a transform is sound: its inverse, and its log-determinant against a dense Jacobian."""

from functools import partial

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np

U = jnp.array([0.3, -1.1, 1.4])


@partial(jax.jit, static_argnums=2)
def measured(transform, params, free=lambda params: params):
    """u, the round trip, log_det, and the Jacobian from u to the parameters that `free` keeps."""
    u = transform.inverse(params)
    flat, unravel = jax.flatten_util.ravel_pytree(u)

    def forward(v):
        return jax.flatten_util.ravel_pytree(free(transform.forward(unravel(v))))[0]

    return u, transform.forward(u), transform.log_det(u), jax.jacrev(forward)(flat)


def assert_sound(transform, params, free=lambda params: params, rtol=2e-5):
    """The two directions agree, and log_det is that of the dense Jacobian."""
    u, again, log_det, jacobian = measured(transform, params, free)
    assert jax.tree.structure(again) == jax.tree.structure(params)
    for a, b in zip(jax.tree.leaves(again), jax.tree.leaves(params), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol / 2, atol=rtol / 20)
    assert log_det.shape == ()
    dense = np.linalg.slogdet(np.asarray(jacobian, np.float64))[1]
    np.testing.assert_allclose(log_det, dense, rtol=rtol, atol=rtol)
    return u


def _lower(n, k):
    return lambda matrix: matrix[..., *np.tril_indices(n, k)]


SIMPLEX = jnp.array([[0.2, 0.5, 0.3], [0.6, 0.1, 0.3]])
CHOLESKY = jnp.array([[1.0, 0.0, 0.0], [0.5, 2.0, 0.0], [-1.0, 0.3, 0.7]])
COVARIANCE = CHOLESKY @ CHOLESKY.T
