"""The microcanonical kernel: its dynamics against closed forms, and its cheap random numbers."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import crewel as cw
from crewel.adapters import microcanonical
from crewel.adapters.microcanonical import Particle
from crewel.adapters.vectors import Layout

SD = jnp.array([0.5, 1.0, 2.0, 1.5, 0.7])


def gaussian():
    """The target of a Gaussian, and the layout of its positions."""
    model = cw.Model(lambda p: -0.5 * jnp.sum((p / SD) ** 2), jnp.zeros(5))
    return model.target(), Layout.of(model.test_point)


def particle(seed):
    target, layout = gaussian()
    key, other = jax.random.split(jax.random.key(seed))
    return microcanonical.start(target, layout, key, SD * jax.random.normal(other, (5,)))


def test_a_kick_is_the_solution_of_its_equation():
    """`u' = (g - u (u.g)) / (d - 1)`, by small steps of its own, and its energy `(d-1) log ...`."""
    key = jax.random.key(0)
    u = microcanonical.direction(key, jnp.zeros(4))
    g, time, number = 3.0 * jax.random.normal(jax.random.key(1), (4,)), 0.8, 20_000

    def euler(_, carry):
        u, energy = carry
        middle = u + 0.5 * time / number * (g - u * (u @ g)) / 3
        u = u + time / number * (g - middle * (middle @ g)) / 3
        return u, energy + time / number * (middle @ g)

    with jax.enable_x64(True):
        slow, energy = jax.jit(
            lambda u: jax.lax.fori_loop(0, number, euler, (u.astype(float), 0.0 * u[0]))
        )(np.asarray(u, np.float64))
    kicked, change = microcanonical.kick(u, g, jnp.asarray(time))
    np.testing.assert_allclose(kicked, slow, atol=1e-6)
    np.testing.assert_allclose(change, energy, rtol=1e-5)


def test_a_kick_survives_any_gradient():
    u = microcanonical.direction(jax.random.key(0), jnp.zeros(3))
    for size in (0.0, 1e-30, 1e15):
        kicked, energy = microcanonical.kick(u, size * jnp.ones(3), jnp.asarray(1.0))
        assert jnp.isfinite(kicked).all() and jnp.isfinite(energy)
        np.testing.assert_allclose(jnp.linalg.norm(kicked), 1.0, rtol=1e-5)


def test_a_step_can_be_reversed():
    """Turned round, a particle goes back to where it came from, and the energy with it."""
    target, layout = gaussian()
    one, scale = particle(3), jnp.array([1.0, 0.5, 2.0, 1.0, 1.0])
    there, error = microcanonical.leap(target, layout, one, jnp.asarray(0.7), scale)
    turned = there._replace(velocity=-there.velocity)
    back, again = microcanonical.leap(target, layout, turned, jnp.asarray(0.7), scale)
    np.testing.assert_allclose(back.position, one.position, atol=1e-5)
    np.testing.assert_allclose(back.velocity, -one.velocity, atol=1e-5)
    np.testing.assert_allclose(again, -error, atol=1e-5)


def test_the_error_of_a_step_is_of_third_order():
    with jax.enable_x64(True):
        target, layout = gaussian()
        start = particle(1)
        errors = [
            float(microcanonical.leap(target, layout, start, jnp.asarray(e), jnp.ones(5))[1])
            for e in (0.04, 0.02, 0.01)
        ]
    # Halving the step divides the error by eight, up to the next order.
    ratios = np.array(errors[:-1]) / errors[1:]
    assert (ratios > 6).all() and (ratios < 11).all(), errors


def test_a_step_that_is_not_accepted_turns_the_particle_round():
    old, new = particle(0), particle(1)
    kept = microcanonical.moved(old, new, jnp.asarray(False))
    wanted = old._replace(velocity=-old.velocity)
    assert all(np.array_equal(a, b) for a, b in zip(kept, wanted, strict=True))
    kept = microcanonical.moved(old, new, jnp.asarray(True))
    assert all(np.array_equal(a, b) for a, b in zip(kept, new, strict=True))


@pytest.mark.parametrize("double", [False, True])
def test_normals_are_nearly_normal_and_independent(double):
    """Moments, and correlations between places and between keys, within five standard errors."""
    number, size = 4_000, 50
    with jax.enable_x64(double):
        keys = jax.random.split(jax.random.key(5), number)
        z = np.asarray(jax.vmap(lambda key: microcanonical.normals(key, size))(keys), np.float64)
    count = z.size
    assert abs(z.mean()) < 5 / count**0.5
    assert abs((z**2).mean() - 1) < 5 * (2 / count) ** 0.5
    assert abs((z**3).mean()) < 5 * (15 / count) ** 0.5
    assert abs((z**4).mean() - (3 - 2 / 32)) < 5 * (96 / count) ** 0.5
    places = z.T @ z / number
    assert np.abs(places - np.eye(size)).max() < 5.5 * (2 / number) ** 0.5
    follow = (z[1:] * z[:-1]).mean(), (z[:, 1:] * z[:, :-1]).mean()
    assert np.abs(follow).max() < 5 / count**0.5


def test_a_refresh_forgets_at_the_given_rate():
    """The mean of the velocity along itself falls by `exp(-ratio)` in many dimensions."""
    u = microcanonical.direction(jax.random.key(0), jnp.zeros(500))
    keys = jax.random.split(jax.random.key(1), 400)
    for ratio in (0.1, 1.0):
        new = jax.vmap(lambda key, r=ratio: microcanonical.refresh(key, u, r))(keys)
        along = np.asarray(new @ u)
        # The spread of one is about 1 / sqrt(500); the norm's own spread shifts the mean by 1/500.
        assert abs(along.mean() - np.exp(-ratio)) < 5 / (500 * 400) ** 0.5 + 1 / 500


def test_a_layout_is_code_and_joins_leaves_in_order():
    tree = {"b": jnp.arange(6.0).reshape(2, 3), "a": (jnp.asarray(9.0), jnp.ones(2))}
    layout = Layout.of(tree)
    assert jax.tree.leaves(layout) == [] and layout == Layout.of(jax.tree.map(jnp.zeros_like, tree))
    vector = layout.vector(tree)
    np.testing.assert_array_equal(vector, jax.flatten_util.ravel_pytree(tree)[0])
    again = layout.position(vector)
    assert jax.tree.structure(again) == jax.tree.structure(tree)
    assert all(
        np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, (again, tree)), strict=True)
    )


def test_one_parameter_is_refused():
    model = cw.Model(lambda p: -0.5 * p**2, 0.0)
    with pytest.raises(ValueError, match="at least two parameters"):
        model.mcmc.crewel_mclmc(seed=0, progress=False)


def test_a_particle_has_flat_vectors():
    assert all(np.ndim(leaf) in (0, 1) for leaf in Particle(*particle(0)))
