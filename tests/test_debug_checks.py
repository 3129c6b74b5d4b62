"""Every check of the debugger fires on what it claims to check, and is quiet elsewhere."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from jax.flatten_util import ravel_pytree

import crewel as cw
from crewel.adapters import ALGORITHMS
from crewel.checks import RULES, calls
from crewel.checks.context import Context
from crewel.priors.table import PriorTable

N = 20
X = np.linspace(-1.0, 1.0, 3 * N, dtype=np.float32).reshape(N, 3)
Y = X @ np.array([1.0, -2.0, 0.5], np.float32)
W = {"w": jnp.ones(3)}
positive = dist.constraints.positive


def check(name, model, row=None, **kwargs):
    """The outcome of one check alone."""
    rule = next(rule for rule in RULES if rule.name == name)
    row = next((r for r in ALGORITHMS if r.name == row), None)
    context = Context(model, row, 0, kwargs)
    if row is not None:
        calls.keywords(context)
    return rule.check(context)


def normal(params):
    """A log density that nothing is wrong with."""
    return -0.5 * sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(params))


def exp(u):
    return jax.tree.map(jnp.exp, u)


def log_prior(params):
    return normal(params)


def log_likelihood(params, batch):
    return dist.Normal(batch["x"] @ params["w"], 1.0).log_prob(batch["y"])


def regression(likelihood=log_likelihood, log_density=None, prior=log_prior, **kwargs):
    """Linear regression with prior and likelihood apart."""
    data = kwargs.pop("data", {"x": X, "y": Y})
    return cw.Model(log_density, W, data=data, log_prior=prior, log_likelihood=likelihood, **kwargs)


GOOD = cw.Model(normal, W)


def network():
    def apply(params, x):
        return jnp.tanh(x @ params["a"]) @ params["b"]

    example = {"a": jnp.ones((3, 4)), "b": jnp.ones(4)}
    return cw.wrap(apply, X, Y, likelihood="gaussian", example=example)


# Shapes and types


@pytest.mark.parametrize("leaf", [jnp.ones(2, jnp.int32), jnp.ones(2, bool)])
def test_integers_and_booleans_are_no_parameters(leaf):
    with pytest.raises(TypeError, match=r"`w` is of type (int32|bool); parameters must be floats"):
        cw.Model(normal, {"w": leaf})
    model = cw.Model(normal, {"w": jnp.ones(2)})
    model.test_point = {"w": leaf}  # as a bridge might
    found = check("test point", model)
    assert found.status == "failed"
    assert f"`w` is of type {leaf.dtype}" in found.message


def test_mixed_and_low_precision_are_named_and_python_numbers_said():
    mixed = cw.Model(normal, {"a": jnp.ones(2, jnp.float16), "b": 1.0})
    found = check("test point", mixed)
    assert found.status == "warned"
    assert "float16: `a`; float32: `b`. `b`, given as Python numbers" in found.message
    low = check("test point", cw.Model(normal, {"a": jnp.ones(2, jnp.bfloat16)}))
    assert low.status == "warned" and "All leaves are bfloat16" in low.message
    fine = check("test point", cw.Model(normal, {"a": 1.0, "b": jnp.ones(3)}))
    assert fine.status == "passed"
    assert fine.message == "4 parameters in 2 leaves, float32; `a` given as Python numbers."


def test_structure_notices_a_changed_type():
    def narrowed(u):
        return {"w": jnp.exp(u["w"]).astype(jnp.float16)}

    model = cw.Model(
        normal,
        {"w": jnp.ones(2)},
        narrowed,
        inverse_transform_fn=lambda p: {"w": jnp.log(p["w"]).astype(jnp.float32)},
        inverse_log_det_jacobian=lambda p: -jnp.log(p["w"]).sum(),
    )
    found = check("structure", model)
    assert found.status == "failed"
    assert "`w` is float32 in the test point and float16 after the transform" in found.message
    assert check("structure", cw.Model(normal, W, exp)).status == "passed"


def test_structure_notices_other_trees_and_shapes():
    model = cw.Model(normal, W, exp)
    transform = model._target.transform

    def with_forward(forward):
        changed = cw.Model(normal, W, exp)
        target = {**model._target.__dict__, "transform": transform._replace(forward=forward)}
        changed._target = type(model._target)(**target)
        return check("structure", changed)

    assert "The transform makes PyTreeDef" in with_forward(lambda u: [u["w"]]).message
    assert "(3,) in the test point and (1,)" in with_forward(lambda u: {"w": u["w"][:1]}).message


@pytest.mark.parametrize(
    ("density", "message"),
    [
        (lambda p: -(p["w"] ** 2), "has shape (3,); it must be a scalar, `()`. Return its `.sum"),
        (lambda p: log_likelihood(p, {"x": X, "y": Y}), "the 20 rows of the data: the sum over"),
        (
            lambda p: log_likelihood(p, {"x": X, "y": Y[:, None]}),
            "Two axes have the 20 rows of the data",
        ),
        (lambda p: normal(p)[None], "It holds one value: return `value[0]`"),
        (lambda p: (normal(p), p), "returns 2 values"),
        (lambda p: jnp.sum(p["w"] > 0), "of type int32; it must be a float"),
    ],
)
def test_log_density_must_be_a_real_scalar(density, message):
    found = check("log density shape", cw.Model(density, W))
    assert found.status == "failed"
    assert message in found.message


def test_log_density_that_is_a_scalar_passes():
    assert check("log density shape", GOOD).message == "A scalar, float32."


# The broadcast trap


@pytest.mark.parametrize(
    ("likelihood", "message"),
    [
        (lambda p, b: log_likelihood(p, b).sum(), "summed already"),
        (
            lambda p, b: dist.Normal(b["x"] @ p["w"], 1.0).log_prob(b["y"][:, None]),
            "every datum is compared with every other",
        ),
        (lambda p, b: jnp.stack([log_likelihood(p, b)] * 2, 1), "Sum the values of each row"),
        (lambda p, b: log_likelihood(p, b)[:-1], "first axis must be that of the rows"),
    ],
)
def test_one_likelihood_value_a_row(likelihood, message):
    found = check("likelihood shape", regression(likelihood))
    assert found.status == "failed"
    assert message in found.message


def predicting(outputs, distribution, y):
    """A model as a bridge makes it, without the checks of `wrap`."""
    from jax.tree_util import Partial

    from crewel.posterior.predict import NetworkPredictive

    predictive = NetworkPredictive(
        Partial(lambda p, x: outputs(p, x)), Partial(lambda p, out: distribution(out))
    )
    return cw.Model(
        None,
        W,
        data={"x": X, "y": y},
        log_prior=log_prior,
        log_likelihood=lambda p, b: predictive.pointwise(p, b["x"], b["y"]),
        predictive=predictive,
    )


@pytest.mark.parametrize(
    ("outputs", "distribution", "y", "words"),
    [
        (
            lambda p, x: x @ p["w"],
            lambda out: dist.Normal(out, 1.0),
            Y[:, None],
            ["Normal of shape (20,)", "`y` has shape (20, 1)", "pass `y[:, 0]`"],
        ),
        (
            lambda p, x: (x @ p["w"])[:, None],
            lambda out: dist.Normal(out, 1.0),
            Y,
            ["Normal of shape (20, 1)", "`y` has shape (20,)", "use `outputs[..., 0]`"],
        ),
        (
            lambda p, x: x * p["w"],
            lambda out: dist.Categorical(logits=out),
            np.eye(3, dtype=np.int32)[np.arange(N) % 3],
            ["CategoricalLogits of shape (20,)", "(20, 3)", "`y.argmax(-1)`"],
        ),
        (
            lambda p, x: (x @ p["w"])[:, None],
            lambda out: dist.Normal(out, jnp.exp(out[:, 0])),
            Y,
            ["Normal of shape (20, 20)", "every datum is compared with every other"],
        ),
    ],
)
def test_likelihood_and_data_of_different_shapes(outputs, distribution, y, words):
    found = check("likelihood shape", predicting(outputs, distribution, y))
    assert found.status == "failed"
    assert all(word in found.message for word in words), found.message


def test_matching_likelihoods_pass():
    assert check("likelihood shape", regression()).message == "One value a row, (20,)."
    assert "Normal (20,) over `y` (20,)" in check("likelihood shape", network()).message
    assert check("likelihood shape", GOOD).status == "skipped"


def squared(p):
    return -jnp.sum((Y[:, None] - X @ p["w"]) ** 2)


@jax.jit
def compiled(p):
    return -((Y - (X @ p["w"])[:, None]) ** 2).mean(0).sum()


@pytest.mark.parametrize(
    ("density", "primitive"),
    [
        (squared, "sub"),
        (compiled, "sub"),
        (lambda p: dist.StudentT(4.0, X @ p["w"], 1.0).log_prob(Y[:, None]).sum(), "sub"),
        (
            lambda p: dist.Bernoulli(logits=(X @ p["w"])[:, None]).log_prob(Y > 0).sum(),
            "mul",
        ),
    ],
)
def test_outer_sums_are_found_with_shapes_and_line(density, primitive):
    found = check("broadcast", cw.Model(density, W))
    assert found.status == "warned"
    assert f"`{primitive}` combines shapes" in found.message
    assert "(20, 1)" in found.message and "(20,)" in found.message
    assert "test_debug_checks.py:" in found.message


def test_outer_sum_says_the_line():
    found = check("broadcast", cw.Model(squared, W))
    assert 'in squared: `return -jnp.sum((Y[:, None] - X @ p["w"]) ** 2)`' in found.message


def test_outer_sum_in_a_numpyro_model():
    import numpyro

    def line(x, y):
        w = numpyro.sample("w", dist.Normal(0, 1).expand([3]).to_event(1))
        numpyro.sample("y", dist.Normal(x @ w, 1.0), obs=y)

    found = check("broadcast", cw.Model.from_numpyro(line, X, Y[:, None]))
    assert found.status == "warned"
    assert "combines shapes (20, 1) and (20,)" in found.message
    assert "in log_prob: `" in found.message  # NumPyro's own line: the user's has returned
    assert check("broadcast", cw.Model.from_numpyro(line, X, Y)).status == "passed"


def gaussian_process(p):
    apart = ((X[:, None] - X[None]) ** 2).sum(-1)
    chol = jnp.linalg.cholesky(jnp.exp(-apart * jnp.exp(p["w"][0])) + 0.1 * jnp.eye(N))
    z = jax.scipy.linalg.solve_triangular(chol, Y, lower=True)
    return -0.5 * z @ z - jnp.log(jnp.diag(chol)).sum() + normal(p)


def attention(p):
    q = X * p["w"]
    causal = jnp.arange(N)[:, None] >= jnp.arange(N)
    weights = jax.nn.softmax(jnp.where(causal, q @ q.T, -1e9), -1)
    return -jnp.sum((Y - (weights @ X) @ p["w"]) ** 2)


@pytest.mark.parametrize("density", [normal, gaussian_process, attention])
def test_kernels_and_attention_are_no_broadcast_trap(density):
    assert check("broadcast", cw.Model(density, W)).status == "passed"


# Finiteness


def test_test_point_blames_prior_leaf_datum_and_jacobian():
    y = np.array([1.0, 2.0, -3.0, 4.0], np.float32)

    def rows(p, batch):
        return jnp.log(batch["y"]) * p["a"] - p["a"]

    model = cw.Model(
        None,
        {"a": jnp.ones(()), "b": -jnp.ones(2)},
        data={"y": y},
        log_prior=lambda p: normal(p["a"]) + jnp.log(p["b"]).sum(),
        log_likelihood=rows,
        priors=PriorTable(
            {"a": dist.Normal(0.0, 1.0), "b": dist.Gamma(2.0, 1.0)}, {"a": (), "b": (2,)}
        ),
    )
    found = check("log density at test point", model)
    assert found.status == "failed"
    assert "The log density at the test point is NaN" in found.message
    assert "The prior of `b`, Gamma, is " in found.message and "`b[0]` = -1" in found.message
    assert "not finite in 1 of 4 rows: row 2 (`y` = -3: NaN)" in found.message
    assert "`log` first made it NaN" in found.message
    np.testing.assert_array_equal(found.details["rows"], [2])

    jacobian = cw.Model(
        normal,
        {"a": jnp.ones(())},
        lambda u: {"a": u["a"] + 0 * jnp.log(u["a"])},
        inverse_transform_fn=lambda p: p,
        inverse_log_det_jacobian=lambda p: 0 * p["a"],
    )
    jacobian._target = type(jacobian._target)(
        **{
            **jacobian._target.__dict__,
            "transform": jacobian._target.transform._replace(
                log_det=jax.tree_util.Partial(lambda u: jnp.log(u["a"] - 1))
            ),
        }
    )
    found = check("log density at test point", jacobian)
    assert "at the test point is -inf" in found.message
    assert "log-determinant of the transform is -inf" in found.message


@pytest.mark.parametrize(
    ("density", "kind", "primitive", "switch"),
    [
        (lambda p: jnp.log(p["w"] - 2).sum(), "NaN", "log", "debug_nans"),
        (lambda p: jnp.log(p["w"] - 1).sum(), "-inf", "log", "debug_infs"),
        (lambda p: jnp.exp(p["w"] * 1000).sum(), "inf", "exp", "debug_infs"),
    ],
)
def test_each_kind_of_broken_value_is_told_and_its_primitive(density, kind, primitive, switch):
    found = check("log density at test point", cw.Model(density, W))
    assert found.status == "failed"
    assert f"at the test point is {kind}." in found.message
    assert found.details["primitive"] == primitive
    assert "test_debug_checks.py:" in found.message
    nans = "`jax.debug_nans` would stop there" in found.message
    assert nans == (switch == "debug_nans")
    with getattr(jax, switch)(True), pytest.raises(FloatingPointError):
        jax.block_until_ready(jax.jit(density)(W))
    if not nans:
        with jax.debug_nans(True):
            jax.block_until_ready(jax.jit(lambda p: density(p))(W))


def test_masked_nan_is_not_blamed():
    def density(p):
        safe = jnp.where(p["w"] > 2, jnp.log(p["w"] - 2), 0.0).sum()  # NaN inside, dropped
        return safe + jnp.log(p["w"][0] - 1)

    found = check("log density at test point", cw.Model(density, W))
    assert "at the test point is -inf" in found.message
    assert 'jnp.log(p["w"][0] - 1)' in found.message


def test_finite_test_point_shows_the_split():
    found = check("log density at test point", regression())
    value = normal(W) + log_likelihood(W, {"x": X, "y": Y}).sum()
    assert found.status == "passed"
    np.testing.assert_allclose(found.details["value"], value, rtol=1e-6)
    np.testing.assert_allclose(found.details["log_prior"], -1.5, rtol=1e-6)


def test_initial_states_without_density():
    def density(p):
        return normal(p) + jnp.where(p["w"][0] > 1.5, jnp.nan, 0.0)

    start = {"w": jnp.array([[1.0, 0.0, 0.0], [2.0, 0.0, 0.0], [1.0, 1.0, 0.0]])}
    model = cw.Model(density, W)
    found = check("log density at starts", model, "numpyro_nuts", init=start, num_chains=3)
    assert found.status == "failed"
    assert "is NaN at the initial state of 1 of 3 chains, the first of them 1" in found.message
    np.testing.assert_array_equal(found.details["chains"], [1])
    assert check("log density at starts", GOOD).status == "passed"


def test_states_outside_the_support():
    model = cw.Model(normal, W, {"w": positive})
    start = {"w": jnp.array([1.0, 2.0, -3.0])}
    found = check("support of initial states", model, "numpyro_nuts", init=start)
    assert found.status == "failed"
    assert "`w` is outside the support" in found.message and "between -3 and 2" in found.message
    inside = check("support of initial states", model, "numpyro_nuts", init=W)
    assert inside.status == "passed"
    assert check("support of initial states", model).status == "passed"


def test_states_that_the_inverse_clips():
    model = cw.Model(
        normal,
        W,
        lambda u: {"w": jnp.clip(u["w"], 0.0, 10.0)},
        inverse_transform_fn=lambda p: {"w": jnp.clip(p["w"], 0.0, 10.0)},
        inverse_log_det_jacobian=lambda p: 0.0,
        initial_state={"w": jnp.array([1.0, 12.0, 3.0])},
    )
    found = check("support of initial states", model)
    assert found.status == "failed" and "12 in chain 0" in found.message


def test_equal_and_close_starts():
    same = check("spread of initial states", GOOD, "numpyro_nuts", init=W)
    assert same.status == "warned" and "of all chains are the same" in same.message
    two = {"w": jnp.array([[0.0, 1.0, 2.0], [1.0, 1.0, 1.0], [0.0, 1.0, 2.0]])}
    pair = check("spread of initial states", GOOD, "numpyro_nuts", init=two, num_chains=3)
    assert "of chains 0 and 2 are the same" in pair.message
    near = {"w": 5 + 1e-4 * jnp.arange(6.0).reshape(2, 3)}
    close = check("spread of initial states", GOOD, "numpyro_nuts", init=near, num_chains=2)
    assert close.status == "warned" and "agree before they have mixed" in close.message
    assert check("spread of initial states", GOOD).status == "passed"
    assert check("spread of initial states", GOOD, "numpyro_nuts", num_chains=1).status == "skipped"


def test_initial_states_that_cannot_be_made():
    with pytest.raises(ValueError, match="not among this model's ways to start"):
        check("initial states", GOOD, "numpyro_nuts", init="prior")
    found = check("initial states", GOOD, "optax_adam", num_particles=3)
    assert found.message == "3 particles from `init='uniform'`."
    assert found.details["shapes"] == {"w": (3, 3)}


# Gradients


def test_gradient_that_where_does_not_save():
    def density(p):
        return -jnp.where(p["w"] > 0, jnp.sqrt(p["w"]), 0.0).sum() + normal(p)

    model = cw.Model(density, W, initial_state={"w": jnp.array([0.0, 1.0, 2.0])})
    found = check("gradient finite", model)
    assert found.status == "failed"
    assert "`w` is NaN in 1 of 3 entries at the initial state of chain 0" in found.message
    assert 'jnp.sqrt(p["w"])' in found.message
    assert "make its input safe" in found.message
    assert check("gradient finite", GOOD).status == "passed"


def test_infinite_gradient_is_told_from_nan():
    def density(p):
        return jnp.sqrt(p["w"]).sum() + normal(p)

    found = check("gradient finite", cw.Model(density, {"w": jnp.zeros(3)}))
    assert "`w` is infinite in 3 of 3 entries at the test point" in found.message


def test_unused_and_motionless_parameters():
    two = {"w": jnp.ones(3), "v": jnp.ones(2)}
    unused = check("parameters used", cw.Model(lambda p: normal(p["w"]), two))
    assert unused.status == "failed" and "does not use `v`" in unused.message
    still = check(
        "parameters used",
        cw.Model(lambda p: normal(p["w"]) - jnp.sum(jnp.round(p["v"]) ** 2), two),
    )
    assert still.status == "failed"
    assert "`v` is exactly zero at every initial state" in still.message
    assert check("parameters used", cw.Model(normal, two)).status == "passed"


def test_dead_relu_layer_and_unused_latent():
    def apply(params, x):
        hidden = jax.nn.relu(x @ params["a"] - 100.0)
        return hidden @ params["b"]

    example = {"a": jnp.ones((3, 4)), "b": jnp.ones(4)}
    dead = cw.wrap(apply, X, Y, likelihood="gaussian", example=example)
    found = check("parameters informed", dead)
    assert found.status == "warned"
    assert "`a`, `b` is exactly zero at every initial state" in found.message
    spare = cw.wrap(
        lambda p, x: x @ p["w"],
        X,
        Y,
        likelihood="gaussian",
        example=W,
        latents={"tau": dist.HalfNormal(1.0)},
    )
    found = check("parameters informed", spare)
    assert found.status == "warned" and "The likelihood does not use `tau`" in found.message
    assert check("parameters informed", network()).status == "passed"


def test_gradient_norms_that_differ_much():
    two = {"a": jnp.ones(()), "b": jnp.ones(())}
    found = check(
        "gradient norms", cw.Model(lambda p: -1e8 * p["a"] ** 2 - 1e-2 * p["b"] ** 2, two)
    )
    assert found.status == "warned" and "`a`" in found.message and "`b`" in found.message
    norms = found.details["norms"]
    assert norms["a"] / norms["b"] > 1e6
    assert check("gradient norms", cw.Model(normal, two)).status == "passed"


@jax.custom_vjp
def wrong_sign(x):
    return jnp.sin(x)


wrong_sign.defvjp(lambda x: (jnp.sin(x), x), lambda x, g: (-g * jnp.cos(x),))


@pytest.mark.parametrize(
    "density",
    [
        lambda p: normal(p) + wrong_sign(p["v"]).sum(),
        lambda p: normal(p) - (jax.lax.stop_gradient(p["v"]) * p["v"]).sum(),
    ],
)
def test_gradient_against_differences(density):
    point = {"w": jnp.ones(3), "v": jnp.ones(2)}
    found = check("gradient and differences", cw.Model(density, point))
    assert found.status == "failed"
    assert "with respect to `v` is not the derivative" in found.message
    assert "(float64)" in found.message
    right = check("gradient and differences", cw.Model(normal, point))
    assert right.status == "passed"
    np.testing.assert_allclose(right.details["slopes"], right.details["differences"], rtol=1e-6)


def test_differences_in_single_precision_where_float64_does_not_run():
    def bound(p):
        carry, _ = jax.lax.scan(lambda c, x: (c - x**2, None), jnp.float32(0), p["w"])
        return carry

    found = check("gradient and differences", cw.Model(bound, W))
    assert found.status == "passed"
    assert "(float32)" in found.message and "In float64 the model does not run" in found.message


def test_differences_that_do_not_settle():
    def jumps(p):
        return normal(p) + jnp.sum(jnp.floor(1e7 * p["w"]) % 7)

    found = check("gradient and differences", cw.Model(jumps, W))
    assert found.status == "warned" and "do not settle" in found.message


def test_single_precision_inside_is_not_mistaken_for_a_wrong_gradient():
    def rounded(p):
        return -0.5 * jnp.sum((Y - X @ p["w"].astype(jnp.float32)) ** 2) - 100.0

    assert check("gradient and differences", cw.Model(rounded, W)).status == "passed"


# Priors


def test_priors_for_every_leaf():
    def with_table(priors):
        return cw.Model(normal, W, priors=PriorTable(priors, {"w": (3,)}))

    missing = check("priors", with_table({}))
    assert missing.status == "failed" and "`w` has no prior" in missing.message
    improper = check("priors", with_table({"w": dist.ImproperUniform(positive, (), ())}))
    assert improper.status == "failed" and "ImproperUniform" in improper.message
    assert check("priors", network()).message == "2 priors over 3 leaves."
    assert check("priors", GOOD).status == "skipped"


@pytest.mark.parametrize(
    ("prior", "transform", "message"),
    [
        (dist.Gamma(2.0, 1.0), None, "outside the support of its prior Gamma"),
        (dist.Normal(0.0, 1.0), positive, "does not reach all of the support of `w`'s prior"),
        (dist.Uniform(0.0, 1.0), dist.constraints.interval(0.0, 2.0), "outside the support"),
    ],
)
def test_prior_of_another_support(prior, transform, message):
    model = cw.Model(
        lambda p: prior.log_prob(p["w"]).sum(),
        {"w": jnp.full(3, 0.5)},
        transform,
        priors=PriorTable({"w": prior}, {"w": (3,)}),
    )
    found = check("prior support", model)
    assert found.status == "failed"
    assert message in found.message


@pytest.mark.parametrize(
    "prior",
    [
        dist.Gamma(2.0, 1.0),
        dist.Beta(2.0, 2.0),
        dist.Dirichlet(jnp.ones(3)),
        dist.MultivariateNormal(jnp.zeros(3), jnp.eye(3)),
    ],
)
def test_prior_of_the_same_support(prior):
    model = cw.Model(
        lambda p: prior.log_prob(p["w"]).sum(),
        {"w": jnp.array([0.2, 0.3, 0.5])},
        prior.support,
        priors=PriorTable({"w": prior}, {"w": (3,)}),
    )
    assert check("prior support", model).status == "passed"


def test_split_that_does_not_add_up():
    def tempered(p, data):
        return log_prior(p) + 0.5 * log_likelihood(p, data).sum()

    found = check("prior and likelihood", regression(log_density=tempered))
    assert found.status == "failed" and "must be a constant" in found.message

    def shifted(p, data):
        return log_prior(p) + log_likelihood(p, data).sum() + 7.0

    assert check("prior and likelihood", regression(log_density=shifted)).status == "passed"
    right = check("prior and likelihood", regression())
    d = right.details
    np.testing.assert_allclose(d["log_density"], d["log_prior"] + d["log_likelihood"], rtol=1e-5)


@pytest.mark.parametrize(
    ("density", "transform", "leaf"),
    [
        (lambda p: -jnp.sum(jnp.tanh(p["a"]) ** 2) + normal(p["b"]), None, "a"),  # saturates
        (lambda p: jnp.sum(jax.nn.log_sigmoid(p["a"])) + normal(p["b"]), None, "a"),  # one side
        (lambda p: 0.0 * jnp.sum(p["a"]) + normal(p["b"]), {"a": positive, "b": None}, "a"),
    ],
)
def test_tails_that_cannot_be_normalised(density, transform, leaf):
    point = {"a": jnp.ones(()), "b": jnp.ones(2)}
    found = check("tails", cw.Model(density, point, transform))
    assert found.status == "failed"
    assert f"does not fall far out along `{leaf}`" in found.message
    assert found.details["leaves"] == [leaf]


@pytest.mark.parametrize(
    ("prior", "transform"),
    [
        (dist.Normal(0.0, 1000.0), None),
        (dist.Cauchy(0.0, 1.0), None),
        (dist.HalfCauchy(1.0), positive),
        (dist.Gamma(0.01, 0.01), positive),
        (dist.LogNormal(0.0, 10.0), positive),
        (dist.Beta(0.5, 0.5), dist.constraints.unit_interval),
        (dist.Dirichlet(jnp.ones(3)), dist.constraints.simplex),
        (dist.LKJCholesky(3), dist.constraints.corr_cholesky),
    ],
)
def test_tails_of_proper_densities(prior, transform):
    point = {"a": jnp.eye(3) if prior.event_dim == 2 else jnp.full(prior.event_shape, 1 / 3)}
    model = cw.Model(lambda p: prior.log_prob(p["a"]).sum(), point, transform)
    assert check("tails", model).status == "passed"


# Transforms


def test_inverse_that_is_none():
    right = cw.Model(normal, W, exp)
    assert check("transform and inverse", right).status == "passed"
    wrong = cw.Model(
        normal,
        W,
        lambda u: {"w": jnp.exp(u["w"])},
        inverse_transform_fn=lambda p: {"w": p["w"] - 1.0},  # right at the test point only
        inverse_log_det_jacobian=lambda p: -jnp.log(p["w"]).sum(),
    )
    found = check("transform and inverse", wrong)
    assert found.status == "failed" and "`inverse_transform_fn` is not the inverse" in found.message
    assert found.details["leaf"] == "w"


@pytest.mark.parametrize(
    ("ildj", "message"),
    [
        (lambda p: jnp.log(p["w"]).sum(), "It has the wrong sign"),
        (lambda p: jnp.zeros(()), "It is missing"),
        (lambda p: -jnp.log(p["w"]).mean(), "It is another function's"),
    ],
)
def test_wrong_log_determinant(ildj, message):
    def model(ildj):
        return cw.Model(
            normal,
            W,
            lambda u: {"w": jnp.exp(u["w"])},
            inverse_transform_fn=lambda p: {"w": jnp.log(p["w"])},
            inverse_log_det_jacobian=ildj,
        )

    found = check("log-determinant", model(ildj))
    assert found.status == "failed"
    assert message in found.message
    right = check("log-determinant", model(lambda p: -jnp.log(p["w"]).sum()))
    assert right.status == "passed"


def test_log_determinant_of_a_transform_that_mixes():
    matrix = jnp.array([[1.0, 0.5, 0.0], [0.0, 2.0, 0.3], [0.0, 0.0, 3.0]])
    back = jnp.linalg.inv(matrix)

    def model(value):
        return cw.Model(
            normal,
            W,
            lambda u: {"w": matrix @ u["w"]},
            inverse_transform_fn=lambda p: {"w": back @ p["w"]},
            inverse_log_det_jacobian=lambda p: jnp.asarray(-value),
        )

    assert check("log-determinant", model(np.log(6.0))).status == "passed"
    wrong = check("log-determinant", model(np.log(5.0)))
    assert wrong.status == "failed"
    np.testing.assert_allclose(wrong.details["wanted"], np.log(6.0), rtol=1e-5)


def test_log_determinant_is_not_compared_where_it_is_a_convention():
    model = cw.Model(normal, {"w": jnp.full(3, 1 / 3)}, dist.constraints.simplex)
    assert "a simplex" in check("log-determinant", model).message
    assert check("log-determinant", model, "optax_adam").status == "skipped"


def test_batches_of_chains_that_are_mixed():
    def host(w):  # norms over all that it is given, and so over all chains
        return -0.5 * np.full(w.shape[:-1], np.sum(np.asarray(w) ** 2), np.float32)

    @jax.custom_jvp
    def density(w):
        shape = jax.ShapeDtypeStruct((), jnp.float32)
        return jax.pure_callback(host, shape, w, vmap_method="broadcast_all")

    @density.defjvp
    def _(primals, tangents):
        return density(*primals), -primals[0] @ tangents[0]

    found = check("batches of chains", cw.Model(lambda p: density(p["w"]), W))
    assert found.status == "failed"
    assert "in a batch of 3 chains under `jax.vmap`" in found.message
    assert check("batches of chains", GOOD).status == "passed"


def test_transforms_that_mix_a_batch():
    def host(w):
        return np.asarray(w) - np.asarray(w).mean() + np.float32(1)

    @jax.custom_jvp
    def mixed(w):
        shape = jax.ShapeDtypeStruct((3,), jnp.float32)
        return jax.pure_callback(host, shape, w, vmap_method="broadcast_all")

    mixed.defjvp(lambda primals, tangents: (mixed(*primals), tangents[0]))

    def forward(u):
        return {"w": mixed(u["w"])}

    model = cw.Model(
        normal,
        {"w": jnp.full(3, 1.0)},
        forward,
        inverse_transform_fn=lambda p: p,
        inverse_log_det_jacobian=lambda p: jnp.zeros(()),
        initial_state={"w": jnp.arange(12.0).reshape(4, 3)},
    )
    found = check("batches of chains", model)
    assert found.status == "failed" and "another `w` for chain" in found.message


# Rows and minibatches


@pytest.mark.parametrize(
    ("likelihood", "message"),
    [
        (lambda p, b: log_likelihood(p, b) / len(b["y"]), "divided by the number of rows"),
        (
            lambda p, b: dist.Normal(b["x"] @ p["w"], 1.0).log_prob(b["y"][:, None]).sum(-1),
            "It grows with the number of rows",
        ),
        (
            lambda p, b: dist.Normal((b["x"] - b["x"].mean(0)) @ p["w"], 1.0).log_prob(b["y"]),
            "It depends on what the other rows are",
        ),
    ],
)
def test_rows_that_depend_on_others(likelihood, message):
    found = check("rows independent", regression(likelihood))
    assert found.status == "failed"
    assert message in found.message


def test_rows_that_do_not():
    assert check("rows independent", regression()).status == "passed"
    assert check("rows independent", GOOD).status == "skipped"


def joint(reduce):
    def density(p, data):
        return normal(p) + reduce(-0.5 * (data["y"] - data["x"] @ p["w"]) ** 2)

    return cw.Model(density, W, data={"x": X, "y": Y})


def test_rows_that_are_averaged_or_paired():
    averaged = check("rows summed", joint(jnp.mean))
    assert averaged.status == "failed" and "averaged, not summed" in averaged.message

    def paired(p, data):
        return normal(p) - 0.5 * jnp.sum((data["y"][:, None] - data["x"] @ p["w"]) ** 2)

    found = check("rows summed", cw.Model(paired, W, data={"x": X, "y": Y}))
    assert found.status == "failed" and "as `(N, 1)` against `(N,)` does" in found.message
    right = check("rows summed", joint(jnp.sum))
    assert right.status == "passed"
    once, twice, thrice = right.details["values"]
    np.testing.assert_allclose(twice - once, thrice - twice, rtol=1e-9)


def test_minibatches_that_are_biased():
    def twice(p, data):
        return log_prior(p) + 2 * log_likelihood(p, data).sum()

    found = check("minibatches", regression(log_density=twice))
    assert found.status == "failed" and "would sample another posterior" in found.message

    @jax.custom_jvp
    def frozen(value):
        return value

    frozen.defjvp(lambda primals, tangents: (frozen(*primals), 0 * tangents[0]))

    def density(p, data):
        return log_prior(p) + frozen(log_likelihood(p, data).sum())

    found = check("minibatches", regression(log_density=density))
    assert found.status == "failed" and "gradient with respect to `w`" in found.message


def test_minibatches_that_are_not():
    found = check("minibatches", regression())
    assert found.status == "passed" and "Over 2 batches of 10 rows" in found.message
    np.testing.assert_allclose(found.details["batches"].mean(), found.details["full"], rtol=1e-5)
    assert check("minibatches", GOOD).status == "skipped"


# The call


def test_unknown_keywords_and_needs():
    model = GOOD
    bad = check("keywords", model, "numpyro_nuts", max_tree_dept=5)
    assert bad.status == "failed" and "Did you mean `max_tree_depth`?" in bad.message
    assert check("keywords", model, "numpyro_nuts", max_tree_depth=5).status == "passed"


def test_memory_of_the_draws(monkeypatch):
    found = check("memory of draws", GOOD, "numpyro_nuts", num_chains=2, num_draws=500)
    assert found.status == "passed"
    assert found.details["bytes"] == 2 * 500 * 3 * 4
    assert found.message.startswith("2 × 500 draws × 12 B = 12 kB")
    monkeypatch.setattr(calls, "_free_memory", lambda: 12_000.0)
    found = check("memory of draws", GOOD, "numpyro_nuts", num_chains=2, num_draws=500)
    assert found.status == "failed" and "`thinning`" in found.message
    kept = {"num_chains": 2, "num_draws": 500, "collect": lambda p: p["w"][0]}
    assert check("memory of draws", GOOD, "numpyro_nuts", **kept).details["bytes"] == 4000


def test_forecast_counts_gradients(monkeypatch):
    monkeypatch.setattr(Context, "gradient_seconds", 0.31e-3)
    found = check("forecast", GOOD, "numpyro_nuts", num_chains=1)
    assert found.message == (
        "2,000 steps × up to 1,023 gradients × 0.31 ms = up to 11 min per chain, compilation aside."
    )
    adam = check("forecast", GOOD, "optax_adam", num_particles=1, num_steps=2000)
    assert adam.message.startswith("2,000 steps × 1 gradient × 0.31 ms = 620 ms per particle")
    hmc = check("forecast", GOOD, "numpyro_hmc", num_chains=1)
    assert "1 gradient or more" in hmc.message and "at least" in hmc.message
    fixed = check("forecast", GOOD, "blackjax_hmc", num_chains=1, num_integration_steps=5)
    assert "2,000 steps × 5 gradients" in fixed.message
    thinned = check("forecast", GOOD, "blackjax_mclmc", num_chains=1, num_draws=10, thinning=3)
    assert "1,030 steps × 2 gradients" in thinned.message
    monkeypatch.setattr(Context, "gradient_seconds", 1.0)
    found = check("forecast", GOOD, "numpyro_nuts", num_chains=1)
    assert found.status == "warned" and "Take fewer steps" in found.message


def test_forecast_measures():
    found = check("forecast", GOOD, "numpyro_nuts")
    assert 0 < found.details["gradient_seconds"] < 0.1


def test_chains_and_cores(monkeypatch):
    monkeypatch.setattr("crewel.run.placement.cores", lambda: 4)
    assert check("chains", GOOD, "numpyro_nuts", num_chains=4).status == "passed"
    found = check("chains", GOOD, "numpyro_nuts", num_chains=5)
    assert found.status == "warned"
    assert "5 chains on 4 cores take 2 rounds" in found.message
    assert "in the last of which 3 cores are idle" in found.message
    monkeypatch.setattr("jax.local_device_count", lambda: 3)
    found = check("chains", GOOD, "numpyro_nuts", num_chains=5)
    assert found.status == "warned" and "do not divide over 3 devices" in found.message


def test_platform_that_one_did_not_think_of():
    found = calls._platform("cpu", ["/dev/nvidia0"], 1)
    assert found.status == "warned" and "/dev/nvidia0" in found.message
    assert calls._platform("gpu", ["/dev/nvidia0"], 1).status == "passed"
    assert calls._platform("cpu", [], 1).status == "passed"


def test_dimension_of_the_unconstrained_space():
    model = cw.Model(normal, {"w": jnp.full(3, 1 / 3)}, dist.constraints.simplex)
    flat, _ = ravel_pytree(model.target().transform.inverse(model.test_point))
    assert flat.size == 2
    assert "2 dimensions" in check("structure", model).message
