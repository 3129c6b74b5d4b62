"""Transforms: log-determinants against dense Jacobians, round trips, tails, errors, caching."""

from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from numpyro.distributions import constraints
from numpyro.distributions import transforms as numpyro_transforms

from crewel.transforms import elementwise
from crewel.transforms.transform import build

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


@jax.custom_vjp
def doubled_exp(x):
    """A function with derivatives of its own."""
    return 2 * jnp.exp(x)


doubled_exp.defvjp(lambda x: (2 * jnp.exp(x), x), lambda x, ct: (2 * jnp.exp(x) * ct,))

ELEMENTWISE = {
    "softplus": {
        "softplus": lambda x: jax.nn.softplus(x) + 1e-3,
        "log1p_exp": lambda x: jnp.log1p(jnp.exp(x)),
        "log_1_plus_exp": lambda x: jnp.log(1 + jnp.exp(x)),
        "logaddexp": lambda x: jnp.logaddexp(jnp.array([1.0, -2.0, 0.5]), x),
        "log_sigmoid": jax.nn.log_sigmoid,
        "jitted": jax.jit(lambda x: 2 * jax.nn.softplus(x)),
    },
    "bounded": {
        "interval": lambda x: 0.1 + 5 * jax.nn.sigmoid(x),
        "by_hand": lambda x: 1 / (1 + jnp.exp(-x)),
        "tanh": lambda x: jnp.tanh(x / 2),
        "atanh": lambda x: jnp.arctanh(0.5 * jnp.tanh(x)),
        "atan": jnp.arctan,
        "erf": jax.scipy.special.erf,
        "erfinv": lambda x: jax.scipy.special.erfinv(jax.nn.sigmoid(x)),
    },
    "powers": {
        "cube": lambda x: x**3,
        "cbrt": jnp.cbrt,
        "pow": lambda x: (jnp.exp(x) ** 2.5) ** -2,
        "square": lambda x: jnp.square(jnp.exp(x)),
        "roots": lambda x: jax.lax.rsqrt(jnp.sqrt(jnp.exp(x))),
        "bases": lambda x: 3.0 ** (-jnp.exp2(x)),
    },
    "rest": {
        "identity": lambda x: x,
        "affine": lambda x: (3 - x) / jnp.array([1.0, -2.0, 4.0]),
        "exp": lambda x: jnp.exp(x) * jnp.array([1.0, 2.0, 0.5]),
        "expm1": lambda x: jnp.log1p(jnp.expm1(x) + 1),
        "sinh": jnp.sinh,
        "asinh": jnp.arcsinh,
        "custom_vjp": lambda x: jax.checkpoint(doubled_exp)(x) - 1,
        "moved": lambda x: jnp.exp(x)[::-1].reshape(1, 3, 1).T.squeeze()[jnp.array([2, 0, 1])] * 2,
    },
}


@pytest.mark.parametrize("group", ELEMENTWISE)
def test_elementwise_functions_are_inverted_automatically(group):
    functions = ELEMENTWISE[group]

    def fn(u):
        return {name: one(u[name]) for name, one in functions.items()}

    params = fn(dict.fromkeys(functions, U))
    u = assert_sound(build(fn, params), params)
    for name in functions:
        np.testing.assert_allclose(u[name], U, rtol=2e-4, atol=1e-5, err_msg=name)


def _log_sigmoid(u):
    return -np.logaddexp(0, -u)


TAILS = {  # log|slope| and its derivative, in float64
    "exp": (jnp.exp, lambda u: u, lambda u: 1.0),
    "softplus": (jax.nn.softplus, _log_sigmoid, lambda u: np.exp(_log_sigmoid(-u))),
    "log1p_exp": (
        ELEMENTWISE["softplus"]["log1p_exp"],
        _log_sigmoid,
        lambda u: np.exp(_log_sigmoid(-u)),
    ),
    "log_1_plus_exp": (
        ELEMENTWISE["softplus"]["log_1_plus_exp"],
        _log_sigmoid,
        lambda u: np.exp(_log_sigmoid(-u)),
    ),
    "interval": (
        ELEMENTWISE["bounded"]["interval"],
        lambda u: np.log(5) + _log_sigmoid(u) + _log_sigmoid(-u),
        lambda u: -np.tanh(u / 2),
    ),
    "steep": (  # saturates at most of the points where it is compared with what was found
        lambda x: jax.nn.sigmoid(50 * x),
        lambda u: np.log(50) + _log_sigmoid(50 * u) + _log_sigmoid(-50 * u),
        lambda u: -50 * np.tanh(25 * u),
    ),
    "tanh": (
        jnp.tanh,
        lambda u: 2 * (np.log(2) - np.logaddexp(u, -u)),
        lambda u: -2 * np.tanh(u),
    ),
    "asinh": (jnp.arcsinh, lambda u: -np.log1p(u * u) / 2, lambda u: -u / (1 + u * u)),
}


@pytest.mark.parametrize("name", TAILS)
def test_log_det_and_its_gradient_are_right_in_the_tails(name):
    fn, log_slope, gradient = TAILS[name]
    log_det = build(fn, fn(jnp.float32(0.1))).log_det
    for u in (-80.0, -30.0, 0.0, 30.0, 80.0):
        found, slope = jax.value_and_grad(log_det)(jnp.float32(u))
        np.testing.assert_allclose(found, log_slope(np.float64(u)), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(slope, gradient(np.float64(u)), rtol=1e-5, atol=1e-6)


class Params(NamedTuple):
    """A test point of three leaves."""

    a: Any
    b: Any
    c: Any


@partial(jax.tree_util.register_dataclass, data_fields=["w", "b"], meta_fields=["name"])
@dataclass
class Layer:
    """A registered dataclass with a field that is not a leaf."""

    w: Any
    b: Any
    name: str


def test_containers_keep_their_type_and_leaves_may_trade_places():
    def fn(u):
        layer = Layer(jnp.exp(u.a.b), u.a.w * 2, u.a.name)
        return Params(layer, [u.c["x"], jax.nn.softplus(u.b[0])], {"x": jnp.tanh(u.b[1])})

    x = jnp.ones(3)
    params = Params(Layer(x, x / 2, "dense"), [jnp.float32(2.0), 0.7], {"x": 0.5})
    u = assert_sound(build(fn, params), params)
    assert isinstance(u.a, Layer) and u.a.name == "dense"
    np.testing.assert_allclose(u.a.b, np.zeros(3), atol=1e-6)  # log of the layer's weights
    np.testing.assert_allclose(u.c["x"], 2.0, rtol=1e-6)


def test_none_is_the_identity_with_log_det_zero():
    params = {"a": jnp.ones((2, 3)), "b": [1.0]}
    transform = build(None, params)
    assert assert_sound(transform, params)["b"] == [1.0]
    assert build(None, {}).log_det({}) == 0.0


# --- NumPyro -------------------------------------------------------------------------------------


def _lower(n, k):
    return lambda matrix: matrix[..., *np.tril_indices(n, k)]


SIMPLEX = jnp.array([[0.2, 0.5, 0.3], [0.6, 0.1, 0.3]])
CHOLESKY = jnp.array([[1.0, 0.0, 0.0], [0.5, 2.0, 0.0], [-1.0, 0.3, 0.7]])
COVARIANCE = CHOLESKY @ CHOLESKY.T
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


def test_other_bounds_share_compiled_code():
    traces = []

    @jax.jit
    def both(transform, u):
        traces.append(1)
        return transform.forward(u), transform.log_det(u)

    bounds = [(0, 1), (-1.0, 4.0), (0.5, 2)]
    for low, high in bounds:
        transform = build(constraints.interval(low, high), jnp.array([0.6, 0.9]))
        y, log_det = both(transform, jnp.zeros(2))
        np.testing.assert_allclose(y, (low + high) / 2, rtol=1e-6)
        np.testing.assert_allclose(log_det, 2 * np.log((high - low) / 4), rtol=1e-6)
    assert len(traces) == 1
    arrays = build(constraints.interval(jnp.zeros(2), jnp.array([1.0, 3.0])), jnp.array([0.6, 0.9]))
    np.testing.assert_allclose(both(arrays, jnp.zeros(2))[0], [0.5, 1.5], rtol=1e-6)


def test_dtype_of_the_leaf_is_kept():
    params = {"half": jnp.array([0.5, 0.25], jnp.bfloat16), "single": jnp.ones(2)}
    for spec in (constraints.interval(0.0, 2.0), lambda u: jax.tree.map(jnp.exp, u)):
        transform = build(spec, params)
        u = transform.inverse(params)
        for tree in (u, transform.forward(u)):
            assert (tree["half"].dtype, tree["single"].dtype) == (jnp.bfloat16, jnp.float32)
        assert transform.log_det(u).dtype == jnp.float32


@pytest.mark.parametrize(
    "spec",
    [
        constraints.interval(np.float64(0.1), 5.1),
        lambda u: jax.tree.map(lambda x: 0.1 + jnp.exp(jnp.tanh(jax.nn.softplus(x))), u),
    ],
)
def test_float64_is_kept(spec):
    enable = jax.enable_x64 if hasattr(jax, "enable_x64") else jax.experimental.enable_x64
    with enable(True):
        params = {"x": jnp.array([1.2, 2.1, 2.7], jnp.float64)}
        transform = build(spec, params)
        u = assert_sound(transform, params, rtol=1e-12)
        assert transform.log_det(u).dtype == u["x"].dtype == jnp.float64


# --- what the user gives -------------------------------------------------------------------------


def _ordered(u):
    return {"x": jnp.cumsum(jnp.exp(u["x"]))}


def _ordered_inverse(params):
    return {"x": jnp.log(jnp.diff(params["x"], prepend=0.0))}


ORDERED = {"x": jnp.array([0.5, 1.0, 3.0])}


@pytest.mark.parametrize(
    "ildj",
    [
        lambda p: -jnp.sum(_ordered_inverse(p)["x"]),
        lambda p: {"x": -_ordered_inverse(p)["x"]},
        lambda p: [-_ordered_inverse(p)["x"][:1], -_ordered_inverse(p)["x"][1:]],
    ],
    ids=["scalar", "tree", "ragged"],
)
def test_given_inverse_and_log_det_are_used(ildj):
    transform = build(
        _ordered, ORDERED, inverse_transform_fn=_ordered_inverse, inverse_log_det_jacobian=ildj
    )
    assert_sound(transform, ORDERED)


def test_given_inverse_may_change_the_shape_and_the_log_det_is_found():
    fn = lambda u: {"x": jnp.exp(u).reshape(2, 2)}  # noqa: E731
    params = {"x": jnp.array([[1.0, 2.0], [3.0, 4.0]])}
    transform = build(fn, params, inverse_transform_fn=lambda p: jnp.log(p["x"]).ravel())
    assert assert_sound(transform, params).shape == (4,)


def test_given_log_det_alone_is_used_with_the_inverse_found():
    transform = build(jnp.exp, U**2, inverse_log_det_jacobian=lambda p: 7 - jnp.log(p))
    np.testing.assert_allclose(transform.inverse(U**2), jnp.log(U**2), rtol=1e-6)
    np.testing.assert_allclose(transform.log_det(U), jnp.sum(U) - 21, rtol=1e-6)


# --- use in compiled code ------------------------------------------------------------------------

BUILDS = {
    "identity": None,
    "numpyro": constraints.simplex,
    "function": lambda u: {"x": jnp.exp(u["x"]) * jnp.array([1.0, 2.0, 0.5])},
}


@pytest.mark.parametrize("name", BUILDS)
def test_vmap_equals_a_loop_and_two_builds_share_compiled_code(name):
    traces = []

    @jax.jit
    def batch(transform, u):
        traces.append(1)
        return jax.vmap(transform.forward)(u), jax.vmap(transform.log_det)(u)

    params = {"x": SIMPLEX[0]}
    first, second = build(BUILDS[name], params), build(BUILDS[name], params)
    assert jax.tree.structure(first) == jax.tree.structure(second)
    one = first.inverse(params)
    u = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf + 1, -leaf]), one)
    batch(second, u)
    y, log_det = batch(first, u)
    assert len(traces) == 1
    for i in range(3):
        row = {"x": u["x"][i]}
        np.testing.assert_allclose(y["x"][i], first.forward(row)["x"], rtol=1e-5)
        np.testing.assert_allclose(log_det[i], first.log_det(row), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(jax.vmap(first.inverse)(y)["x"], u["x"], rtol=1e-4, atol=1e-5)


def test_functions_that_differ_in_numbers_alone_share_compiled_code():
    def fn(a, u):
        return a * jnp.exp(u)

    closures = [build(lambda u, a=a: fn(a, u), U**2) for a in (1.0, 2.0)]
    partials = [build(jax.tree_util.Partial(fn, jnp.float32(a)), U**2) for a in (1.0, 2.0)]
    assert jax.tree.structure(partials[0]) == jax.tree.structure(partials[1])
    assert len({jax.tree.structure(t.log_det) for t in closures + partials}) == 1
    for one, two in (closures, partials):
        np.testing.assert_allclose(two.log_det(U) - one.log_det(U), 3 * np.log(2), rtol=1e-5)


# --- errors --------------------------------------------------------------------------------------

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


def test_given_inverse_without_a_log_det_asks_for_the_log_det_alone():
    with pytest.raises(ValueError, match=r"`x`: `cumsum` .*Pass `inverse_log_det") as error:
        build(_ordered, ORDERED, inverse_transform_fn=_ordered_inverse)
    assert "inverse_transform_fn" not in str(error.value)


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


# --- TFP -----------------------------------------------------------------------------------------


quiet = pytest.mark.filterwarnings("ignore::DeprecationWarning:tensorflow_probability")


@pytest.fixture(scope="module")
def tfp():
    """TFP's bijectors and distributions; the tests that need them are skipped without it."""
    pytest.importorskip("tensorflow_probability")
    from tensorflow_probability.substrates import jax as tfp

    return SimpleNamespace(tfb=tfp.bijectors, tfd=tfp.distributions)


@quiet
def test_tfp_bijector_of_one_array_goes_to_each_leaf(tfp):
    params = {"a": jnp.array([0.5, 2.0, 1.0]), "b": {"c": jnp.float32(0.1)}}
    for bijector in (tfp.tfb.Exp(), tfp.tfb.Softplus(), tfp.tfb.Chain([tfp.tfb.Exp()] * 1)):
        assert_sound(build(bijector, params), params)
    simplex = build(tfp.tfb.Chain([tfp.tfb.SoftmaxCentered()]), {"p": SIMPLEX})
    assert simplex.inverse({"p": SIMPLEX})["p"].shape == (2, 2)
    bijector = tfp.tfb.Sigmoid(low=0.0, high=3.0)
    one, two = build(bijector, params), build(bijector, params)
    assert jax.tree.structure(one) == jax.tree.structure(two)


@quiet
def test_tfp_joint_bijector_counts_each_leaf_once(tfp):
    joint = tfp.tfb.JointMap({"a": tfp.tfb.Exp(), "b": tfp.tfb.Softplus()})
    params = {"a": jnp.array([0.5, 2.0, 1.0]), "b": jnp.float32(0.1)}
    assert_sound(build(joint, params), params)


@quiet
def test_tfp_default_event_space_bijector_of_a_pinned_model(tfp):
    tfd = tfp.tfd
    model = tfd.JointDistributionNamed(
        {
            "s": tfd.HalfNormal(1.0),
            "w": lambda s: tfd.LogNormal(jnp.zeros(3), s),
            "v": lambda s: tfd.Sample(tfd.Uniform(s, s + 2), 2),
            "y": lambda s: tfd.Normal(0.0, s),
        }
    ).experimental_pin(y=1.0)
    params = {"s": jnp.float32(0.5), "w": jnp.array([0.5, 2.0, 1.0]), "v": jnp.array([0.6, 2.0])}
    assert_sound(build(model.experimental_default_event_space_bijector(), params), params)
