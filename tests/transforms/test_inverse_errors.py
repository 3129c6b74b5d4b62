"""Transforms that cannot be inverted, and the check at the test point."""

import jax
import jax.flatten_util
import jax.numpy as jnp
import pytest
from numpyro.distributions import constraints
from support.transforms import U

from crewel.transforms import elementwise
from crewel.transforms.transform import build

NET = {"Dense_0": {"kernel": jnp.array([0.3, 0.5, 1.4]), "bias": jnp.array([0.5, 1.5, 2.5])}}


def on_kernel(fn):
    """Change the kernel alone."""
    return lambda u: {
        "Dense_0": {"kernel": fn(u["Dense_0"]["kernel"]), "bias": u["Dense_0"]["bias"]}
    }


NOT_INVERTIBLE = {
    "cumsum": (on_kernel(jnp.cumsum), "`Dense_0.kernel`: `cumsum` is not an elementwise"),
    "softmax": (on_kernel(jax.nn.softmax), "`Dense_0.kernel`: `reduce_max` is not"),
    "abs": (on_kernel(jnp.abs), "`Dense_0.kernel`: `abs` is not an elementwise one-to-one"),
    "square": (on_kernel(jnp.square), r"`Dense_0.kernel` \(integer_pow\).*not one-to-one"),
    "twice": (on_kernel(lambda x: x * jnp.tanh(x)), "`Dense_0.kernel`: `mul` uses the input leaf"),
    "constant": (on_kernel(jnp.ones_like), "`Dense_0.kernel`: it does not depend on the input"),
    "zero": (on_kernel(lambda x: 0 * x + 1), r"`Dense_0.kernel` \(mul -> add\) is constant"),
    "half_line": (on_kernel(jnp.log), r"`Dense_0.kernel` \(log\) gives NaN for an input near -"),
    "repeats": (on_kernel(lambda x: x[jnp.array([0, 0, 1])]), "`Dense_0.kernel`: `gather` is not"),
    "not_softplus": (
        on_kernel(jax.jit(lambda x: jnp.log1p(jnp.exp(x)) + jnp.maximum(x, -1.0))),
        r"`Dense_0.kernel` \(logaddexp\): the value that was found",
    ),
    "mixed": (
        lambda u: {"Dense_0": {**u["Dense_0"], "kernel": sum(u["Dense_0"].values())}},
        "`Dense_0.kernel`: `add` mixes the leaves `Dense_0.bias` and `Dense_0.kernel`",
    ),
    "used_twice": (
        lambda u: {"Dense_0": {k: u["Dense_0"]["bias"] for k in ("kernel", "bias")}},
        "computes `Dense_0.bias` and `Dense_0.kernel` from the one leaf `Dense_0.bias`",
    ),
    "structure": (lambda u: u["Dense_0"], "has the structure"),
    "shape": (on_kernel(lambda x: x[:2]), r"has shape \(2,\) at leaf `Dense_0.kernel`"),
}


@pytest.mark.parametrize("name", NOT_INVERTIBLE)
def test_what_cannot_be_inverted_says_where_why_and_what_to_pass(name):
    fn, message = NOT_INVERTIBLE[name]
    with pytest.raises(ValueError, match=message) as error:
        build(fn, NET)
    for word in ("inverse_transform_fn=", "inverse_log_det_jacobian=", "NumPyro constraint"):
        assert word in str(error.value)


def test_unused_leaf_is_named():
    with pytest.raises(ValueError, match="does not use leaf `b` of its input"):
        build(lambda u: (u["a"],), (U,), inverse_transform_fn=lambda p: {"a": p[0], "b": p[0]})


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("value", {"forward": lambda x, c: jnp.exp(x) * 1.01}),
        ("inverse", {"inverse": lambda y, c: jnp.log(y) + 0.01}),
        ("log-slope", {"log_slope": lambda x, y, c: x + 0.01}),
    ],
)
def test_a_wrong_rule_is_an_error_and_never_a_wrong_posterior(monkeypatch, what, change):
    monkeypatch.setitem(elementwise.RULES, "exp", elementwise.RULES["exp"]._replace(**change))
    with pytest.raises(ValueError, match=rf"`x` \(exp -> mul\): the {what} that was found"):
        build(lambda u: {"x": 3 * jnp.exp(u["x"])}, {"x": U**2})


CHECKS = {
    "nan_point": (None, {"a": jnp.array([1.0, jnp.nan])}, {}, "`test_point` is NaN at leaf `a`"),
    "outside": (
        constraints.positive,
        {"a": 1.0, "b": jnp.array([1.0, -1.0])},
        {},
        "inverse transform of `test_point` is NaN at leaf `b`.*outside the support.*swapped",
    ),
    "edge": (
        lambda u: {"a": jnp.exp(u["a"])},
        {"a": jnp.zeros(2)},
        {},
        "inverse transform of `test_point` is infinite at leaf `a`.*on its edge",
    ),
    "not_on_simplex": (
        constraints.simplex,
        {"p": jnp.array([0.2, 0.2, 0.2])},
        {},
        r"`transform_fn\(inverse\(test_point\)\)` is off by 0.4 at leaf `p`",
    ),
    "wrong_inverse": (
        lambda u: jax.tree.map(jnp.exp, u),
        {"a": 2.0},
        {"inverse_transform_fn": lambda p: jax.tree.map(jnp.exp, p)},
        "is off by 1.62e[+]03 at leaf `a`.*swapped",
    ),
    "inverse_shape": (
        lambda u: {"a": jnp.exp(u)},
        {"a": jnp.ones(2)},
        {
            "inverse_transform_fn": lambda p: jnp.log(p["a"])[:1],
            "inverse_log_det_jacobian": lambda p: 0.0,
        },
        r"has shape \(1,\) at leaf `a`, and `test_point` has \(2,\)",
    ),
    "nan_log_det": (
        jnp.exp,
        jnp.ones(2),
        {"inverse_log_det_jacobian": lambda p: jnp.log(-p)},
        "log-determinant of the transform is nan at `test_point`",
    ),
    "spec_structure": ({"a": None, "b": None}, {"a": 1.0}, {}, "does not fit `test_point`"),
    "rank": (constraints.simplex, {"a": 1.0}, {}, r"Leaf `a` has shape \(\).*at least 1 dim"),
    "discrete": (constraints.boolean, {"a": 1.0}, {}, "Leaf `a`: NumPyro has no map"),
    "class": (constraints.interval, {"a": 1.0}, {}, "an instance and not a class"),
    "functions": ({"a": jnp.exp}, {"a": 1.0}, {}, "none of: `None`; a function of the"),
}


@pytest.mark.parametrize("name", CHECKS)
def test_checks_at_the_test_point(name):
    spec, params, given, message = CHECKS[name]
    with pytest.raises(ValueError, match=message):
        build(spec, params, **given)
