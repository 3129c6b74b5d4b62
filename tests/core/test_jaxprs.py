"""The walker of jaxprs against the functions themselves."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import Primitive

from crewel.core.jaxprs import Body, bind, bodies, called, equations, interpret

X = np.array([-1.5, 0.0, 0.3, 2.0], np.float32)
TABLE = jnp.array([0.1, 0.2, 0.3, 0.4])  # captured, so a constant of the traces


@jax.custom_jvp
def flat_at_zero(x):
    return jnp.maximum(x, 0) * TABLE


@flat_at_zero.defjvp
def _(primals, tangents):
    (x,), (t,) = primals, tangents
    return flat_at_zero(x), jnp.where(x > 0, 7.0, 0.0) * t  # unlike the true slope


@jax.custom_vjp
def tripled_slope(x):
    return jnp.sin(x) + TABLE


tripled_slope.defvjp(lambda x: (tripled_slope(x), x), lambda x, g: (3 * g * jnp.cos(x),))


@jax.jit
def inner(x):
    return jnp.exp(x) - TABLE


@jax.jit
def nested(x):
    return inner(x) * inner(x + 1)


def looped(x):
    carry, ys = jax.lax.scan(lambda c, y: (c * y + TABLE.sum(), c), x[0], x)
    return carry + ys


FUNCTIONS = {
    "jit": nested,
    "relu": lambda x: jax.nn.relu(x) + jax.nn.softplus(x),
    "custom_jvp": flat_at_zero,
    "custom_vjp": tripled_slope,
    "remat": jax.checkpoint(lambda x: jnp.tanh(nested(x)) + TABLE),
    "scan": looped,
    "while": lambda x: jax.lax.while_loop(lambda x: x.sum() < 9, lambda x: x + TABLE, x),
    "cond": lambda x: jax.lax.cond(x[0] > 0, jnp.sin, lambda x: x * TABLE, x),
    "two results": lambda x: (jax.lax.top_k(x, 2), {"x": x, "one": 1.0, "table": TABLE}),
    "no equations": lambda x: x,
}
INSIDE = {  # primitives that stand only in the calls of these functions
    "jit": {"exp", "sub", "mul", "add"},
    "custom_jvp": {"max", "mul"},
    "custom_vjp": {"sin", "add"},
    "remat": {"tanh", "exp", "sub", "mul", "add"},
}


@pytest.mark.parametrize("enter", [called, None])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_are_those_of_the_function(name, enter):
    fn = FUNCTIONS[name]
    closed, shape = jax.make_jaxpr(fn, return_shape=True)(X)
    expected = jax.tree.leaves(fn(X))
    made = interpret(closed, [jnp.asarray(X)], enter=enter)
    assert jax.tree.structure(shape).num_leaves == len(made)
    traced = jax.jit(lambda x: interpret(closed, [x], enter=enter))(X)
    for ours, compiled, theirs in zip(made, traced, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
        np.testing.assert_allclose(compiled, theirs, rtol=1e-6)


@pytest.mark.parametrize("name", INSIDE)
def test_calls_are_entered_and_each_primitive_is_seen_once(name):
    seen = []

    def rule(eqn, values):
        seen.append(eqn)
        return bind(eqn, values)

    closed = jax.make_jaxpr(FUNCTIONS[name])(X)
    interpret(closed, [X], rule)
    assert {eqn.primitive.name for eqn in seen} == INSIDE[name]
    leaves = [eqn for eqn in equations(closed) if called(eqn) is None]
    assert [id(eqn) for eqn in seen] == [id(eqn) for eqn in leaves]  # in order


def test_the_caller_decides_what_is_entered():
    """Custom derivatives live in the call: they survive where the rule binds it whole."""

    def whole(eqn):
        return None if eqn.primitive.name.startswith("custom_") else called(eqn)

    def slopes(fn, **how):
        closed = jax.make_jaxpr(jax.jit(fn))(X)
        return jax.grad(lambda x: sum(interpret(closed, [x], **how)).sum())(jnp.asarray(X))

    for fn in (flat_at_zero, tripled_slope):
        own = jax.grad(lambda x, fn=fn: fn(x).sum())(jnp.asarray(X))
        np.testing.assert_array_equal(slopes(fn, enter=whole), own)
        np.testing.assert_array_equal(slopes(fn, enter=None), own)
    np.testing.assert_allclose(slopes(tripled_slope), np.cos(X), rtol=1e-6)
    through = np.asarray(slopes(flat_at_zero))  # at 0 itself, `max` halves its slope
    np.testing.assert_allclose(through, TABLE * np.array([0, 0.5, 1, 1]), rtol=1e-6)
    seen = []

    def rule(eqn, values):
        seen.append(eqn.primitive.name)
        return bind(eqn, values)

    interpret(jax.make_jaxpr(jax.jit(flat_at_zero))(X), [X], rule, enter=whole)
    assert seen == ["custom_jvp_call"]


def test_a_bound_call_keeps_its_derivative_under_vmap():
    """As a transform of layouts does it: rows last, one equation at a time."""
    rows = jnp.stack([X, 2 * X, 3 * X])

    def rule(eqn, values):
        arrays, axes = [v for v, _ in values], [-1 if mapped else None for _, mapped in values]
        made = jax.vmap(lambda *row: bind(eqn, row), in_axes=axes, out_axes=-1)(*arrays)
        return [(value, True) for value in made]

    closed = jax.make_jaxpr(flat_at_zero)(X)

    def rows_last(x):
        fixed = {"enter": None, "constant": lambda value, aval: (value, False)}
        return interpret(closed, [(x.T, True)], rule, **fixed)[0][0].T

    def plain(x):
        return jax.vmap(flat_at_zero)(x)

    np.testing.assert_array_equal(rows_last(rows), plain(rows))
    ours, theirs = (jax.grad(lambda x, f=f: f(x).sum())(rows) for f in (rows_last, plain))
    np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(theirs, 7.0 * (rows > 0))


def test_values_may_be_of_any_kind():
    """The arguments that each result depends on, as sets; constants depend on none."""
    constants = []

    def constant(value, aval):
        constants.append((np.shape(value), aval.shape))
        return frozenset()

    def rule(eqn, values):
        return [frozenset().union(*values)] * len(eqn.outvars)

    def fn(x, y, z):
        return nested(x) + y, jax.nn.relu(z) * 2.0, 3.0, TABLE + y

    closed = jax.make_jaxpr(fn)(X, X, X)
    names = [frozenset(name) for name in "xyz"]
    made = interpret(closed, names, rule, constant=constant)
    assert made == [frozenset("xy"), frozenset("z"), frozenset(), frozenset("y")]
    assert {shape for shape, _ in constants} == {(), (4,)}
    assert all(of_value == of_aval for of_value, of_aval in constants)


def test_a_body_without_constants_gets_them_as_operands():
    """Oryx passes the constants of a call so."""
    closed = jax.make_jaxpr(lambda x: x * TABLE - 1)(X)
    assert len(closed.consts) == 1
    made = interpret(Body(closed.jaxpr), [TABLE, X])
    np.testing.assert_array_equal(made, interpret(closed, [X]))
    with pytest.raises(ValueError, match="zip"):
        interpret(Body(closed.jaxpr), [X])


def test_loops_and_branches_are_not_calls():
    for name in ("scan", "while", "cond"):
        (eqn,) = (e for e in jax.make_jaxpr(FUNCTIONS[name])(X).eqns if e.primitive.name == name)
        assert called(eqn) is None
        assert len(bodies(eqn)) == {"scan": 1, "while": 2, "cond": 0}[name]


def test_equations_are_found_at_any_depth():
    closed = jax.make_jaxpr(lambda x: jax.lax.scan(lambda c, y: (nested(c), y), x, x))(X)

    def count(within=bodies):
        return sum(eqn.primitive.name == "exp" for eqn in equations(closed, within))

    assert count() == 2
    assert count(lambda eqn: ()) == 0
    assert count(lambda eqn: bodies(eqn) if eqn.primitive.name == "scan" else []) == 0


def test_wrong_numbers_of_values_raise():
    closed = jax.make_jaxpr(nested)(X)
    with pytest.raises(ValueError, match="zip"):
        interpret(closed, [X, X])
    with pytest.raises(ValueError, match="zip"):
        interpret(closed, [X], lambda eqn, values: [])


def test_calls_of_oryx_are_known_by_their_parameters():
    primitive = Primitive("softplus")
    primitive.multiple_results = True
    primitive.def_abstract_eval(lambda table, x, **params: [x])
    closed = jax.make_jaxpr(lambda x: x * TABLE)(X)

    def fn(x):
        made = primitive.bind(
            TABLE, x, jaxpr=closed.jaxpr, in_tree=None, out_tree=None, num_consts=1
        )
        return made[0] + 1

    outer = jax.make_jaxpr(fn)(X)
    assert called(outer.eqns[0]).jaxpr is closed.jaxpr
