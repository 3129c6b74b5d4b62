"""The network library: it is built on Equinox, and its networks are not called like Equinox's."""

import equinox as eqx
import jax
import jax.numpy as jnp


class Line(eqx.Module):
    """A linear function of `size` inputs."""

    slope: jax.Array
    offset: jax.Array

    def __init__(self, size):
        """All weights are zero."""
        self.slope, self.offset = jnp.zeros(size), jnp.zeros(())

    def evaluate(self, weights, x):
        """The outputs, `(rows,)`."""
        return x @ weights["slope"] + weights["offset"]
