"""Oryx's rule for `vmap`, while several threads trace and where programs fail."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import oryx.distributions as bd
import pytest
from jax.interpreters import batching
from numpyro.distributions import Normal
from oryx.core import ppl
from oryx.distributions.distribution_extensions import random_variable_p

import crewel as cw
from crewel.bridges.models.oryx import _oryx
from crewel.checks.trace import flatten

X = np.arange(4, dtype=np.float32)


class Tracing(threading.local):
    """What the program is to do while this thread traces it."""

    def hook(self):
        """Do nothing unless a test says otherwise."""


TRACING = Tracing()


def program(key, x):
    """A weight that is not mapped, under `vmap`: the rule of JAX 0.5 alone would drop its prior."""
    TRACING.hook()

    def row(key, x):
        return ppl.random_variable(bd.Normal(0.0, 1.0), name="w")(key) * x

    w_key, y_key = jax.random.split(key)
    mean = jax.vmap(row, in_axes=(None, 0))(w_key, x)
    return ppl.random_variable(bd.Independent(bd.Normal(mean, 1.0), 1), name="y")(y_key)


@pytest.fixture(scope="module")
def model():
    return cw.Model.from_oryx(program, X, observed={"y": 2 * X})


def by_hand(w):
    return Normal().log_prob(w) + Normal(w * X, 1.0).log_prob(2 * X).sum()


def test_threads_that_trace_at_once_never_see_the_general_rule(model):
    """One thread enters first and leaves first, while the other is about to map its weight."""
    before = dict(batching.fancy_primitive_batchers)
    general = before[random_variable_p]
    begun, inside, done = threading.Event(), threading.Event(), threading.Event()

    def first():
        def hook():
            begun.set()
            assert inside.wait(60)  # the other thread is tracing too

        TRACING.hook = hook
        try:
            return model.log_density({"w": jnp.asarray(0.3)})
        finally:
            done.set()

    def second():
        def hook():
            inside.set()
            assert done.wait(60)  # the first thread has left
            assert random_variable_p not in batching.fancy_primitive_batchers

        TRACING.hook = hook
        assert begun.wait(60)
        return model.log_density({"w": jnp.asarray(0.7)})

    with ThreadPoolExecutor(2) as pool:
        values = [job.result(120) for job in (pool.submit(first), pool.submit(second))]
    np.testing.assert_allclose(values, [by_hand(0.3), by_hand(0.7)], rtol=1e-5)
    assert batching.fancy_primitive_batchers == before
    assert batching.fancy_primitive_batchers[random_variable_p] is general


def test_nested_uses_and_exceptions_leave_the_table_as_it_was(model):
    before = dict(batching.fancy_primitive_batchers)
    # Raised outside the program: an exception inside one upsets Oryx 0.2.9 itself on JAX 0.5.
    with pytest.raises(RuntimeError, match="broken"), _oryx():
        value = model.log_density({"w": jnp.asarray(0.5)})
        assert random_variable_p not in batching.fancy_primitive_batchers
        raise RuntimeError("broken")
    np.testing.assert_allclose(value, by_hand(0.5), rtol=1e-5)
    assert batching.fancy_primitive_batchers == before


def test_traces_show_what_is_inside_oryxs_own_calls():
    """Once Oryx is imported, `softplus` is a call with its name; debugging looks into it."""
    assert [op.name for op in flatten(lambda x: 2 * x, X).ops] == ["mul"]
    closed = jax.make_jaxpr(jax.nn.softplus)(X)
    assert any("in_tree" in eqn.params for eqn in closed.eqns)
    names = {op.name for op in flatten(jax.nn.softplus, X).ops}
    assert {"exp", "log1p"} <= names and "softplus" not in names
